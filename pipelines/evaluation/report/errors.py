"""How often a metric marks an answer otherwise than people did: measured, and shown beside the metric.

`make bench-metrics WRITE=1` measures it on the answers of tests/bench/answers, and writes errors.json. They
are not those of the run that is reported: how often the metrics are wrong there is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.statistics import proportion_interval


class _Counts(BaseModel):
    """`wrong` of `n` answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wrong: int
    n: int

    @property
    def share(self) -> str:
        return f"{self.wrong / self.n:.1%}".replace("%", " %").replace(".0 %", " %")

    def __str__(self) -> str:
        low, high = proportion_interval(self.wrong, self.n) or (0.0, 1.0)
        return f"{self.share} [{100 * low:.1f}, {100 * high:.1f}]"


class MeasuredError(BaseModel):
    """A metric's errors on answers of models, for each arm too, and on answers that were written to be
    hard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recorded: _Counts
    arms: Mapping[str, _Counts]
    hard: _Counts
    first_look: _Counts
    """On hard answers that were written blind, before the readers were changed for them."""

    def __str__(self) -> str:
        arms = ", ".join(f"{name} {counts.share}" for name, counts in self.arms.items())
        return (
            f"marked wrongly: {self.recorded} of {self.recorded.n} recorded answers ({arms}), "
            f"{self.hard} of {self.hard.n} hard ones; {self.first_look} of {self.first_look.n} "
            "when first seen"
        )


_MEASURED_AS = {"hallucination rate": "abstained", "abstention error rate": "abstained"}
"""Metrics that are wrong just where another one is."""


def find_measured_error(metric: str) -> MeasuredError | None:
    """Find how often a metric marks an answer wrongly; None where it was not measured."""
    return _load().get(_MEASURED_AS.get(metric, metric))


@cache
def _load() -> dict[str, MeasuredError]:
    raw = files(__package__).joinpath("errors.json").read_bytes()
    return _Measured.model_validate_json(raw).metrics


class _Measured(BaseModel):
    metrics: dict[str, MeasuredError]
