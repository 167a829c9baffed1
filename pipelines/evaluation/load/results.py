"""What the samples of a load run come to: quantiles, goodput, and how many users an arm serves. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from pipelines.evaluation.load.records import (
    FIGURES,
    LoadCell,
    LoadReport,
    LoadVerdict,
    Quantile,
    Sample,
    Slo,
)
from pipelines.evaluation.statistics.intervals import percentile, proportion_interval
from services.core.errors import DeadlineExceeded, InvalidRequest

LEVELS = (0.5, 0.9, 0.95, 0.99)
LEAST = 6
"""Requests below which nothing is sure, as for a median: Wilson's interval of one failure is too short."""
_OBJECTIVE = re.compile(r"(?P<figure>[a-z0-9]+)=(?P<seconds>\d+(?:\.\d+)?)")


def parse_slo(text: str) -> Slo:
    """Read objectives such as `ttfo=5,e2el=20`, in seconds. InvalidRequest says what is wrong with them."""
    bounds: dict[str, float] = {}
    for part in text.split(","):
        match = _OBJECTIVE.fullmatch(part.strip())
        if match is None or match["figure"] not in FIGURES or not float(match["seconds"]):
            raise InvalidRequest(
                f"objective {part.strip()!r}: write FIGURE=SECONDS, such as ttfo=5,e2el=20; "
                f"the figures are {', '.join(FIGURES)}"
            )
        if match["figure"] in bounds:
            raise InvalidRequest(f"objective {match['figure']!r} comes twice")
        bounds[match["figure"]] = float(match["seconds"]) * 1e3
    return Slo(**bounds)


def meets_slo(sample: Sample, slo: Slo) -> bool:
    """Whether a request was answered with every figure within its bound.

    A figure that does not apply (TPOT of one token) meets its bound; a missing TTFT, TTFO or E2EL does not.
    """
    if sample.error or sample.truncated:
        return False
    for figure in FIGURES:
        most: float | None = getattr(slo, figure)
        took: float | None = getattr(sample, figure)
        if most is not None and ((took is None and figure != "tpot") or (took or 0.0) > most):
            return False
    return True


def make_cell(
    arm: str, concurrency: int, samples: Sequence[Sample], slo: Slo, duration_seconds: float
) -> LoadCell:
    """Reduce the samples of one arm and concurrency, all of which ended in these seconds."""
    answered = [sample for sample in samples if not sample.error]
    good = sum(meets_slo(sample, slo) for sample in samples)
    bounds = proportion_interval(good, len(samples))
    return LoadCell(
        arm=arm,
        concurrency=concurrency,
        requests=len(samples),
        errors=dict(sorted(Counter(sample.error for sample in samples if sample.error).items())),
        abstained=sum(sample.abstained for sample in answered),
        truncated=sum(sample.truncated for sample in answered),
        duration_seconds=round(duration_seconds, 3),
        throughput=_per_second(len(answered), duration_seconds),
        goodput=_per_second(good, duration_seconds),
        tokens_per_second=_per_second(sum(sample.tokens for sample in answered), duration_seconds),
        share_within_slo=good / len(samples) if samples else None,
        share_low=bounds[0] if bounds else None,
        share_high=bounds[1] if bounds else None,
        **{figure: _quantiles(samples, figure) for figure in FIGURES},
    )


def make_verdicts(cells: Sequence[LoadCell], slo: Slo, target_share: float) -> tuple[LoadVerdict, ...]:
    """Say how many users each arm serves, in the order in which the arms come."""
    verdicts = []
    for arm in dict.fromkeys(cell.arm for cell in cells):
        own = sorted((cell for cell in cells if cell.arm == arm), key=lambda cell: cell.concurrency)
        verdicts.append(_make_verdict(arm, own, slo, target_share))
    return tuple(verdicts)


def _make_verdict(arm: str, cells: Sequence[LoadCell], slo: Slo, target: float) -> LoadVerdict:
    """The verdict by the greatest concurrency up to which every one that was tried holds."""
    held: LoadCell | None = None
    failed: LoadCell | None = None
    for cell in cells:
        if cell.share_within_slo is None or cell.share_within_slo < target:
            failed = cell
            break
        held = cell
    if held is not None:
        certain = held.share_low is not None and held.share_low >= target
        tried = (
            "more were not tried"
            if failed is None
            else f"with {failed.concurrency} it is {_format_share(failed)}"
        )
        outcome, figures = f"serves {_format_users(held.concurrency)}", f"{_format_share(held)}; {tried}"
    else:
        failed = cells[0]
        certain = failed.requests >= LEAST and failed.share_high is not None and failed.share_high < target
        outcome, figures = f"does not serve {_format_users(failed.concurrency)}", _format_share(failed)
    doubt = "" if certain else " The sample is too small to be sure."
    return LoadVerdict(
        arm=arm,
        users=held.concurrency if held else None,
        open_end=failed is None,
        certain=certain,
        sentence=f"{arm} {outcome} on this machine within {slo} in {target:.0%} of requests: "
        f"{figures}.{doubt}",
    )


def _format_share(cell: LoadCell) -> str:
    if cell.share_within_slo is None or cell.share_low is None or cell.share_high is None:
        return "no request ended in time"
    return f"{cell.share_within_slo:.0%} [{cell.share_low:.0%}, {cell.share_high:.0%}], n = {cell.requests}"


def _format_users(number: int) -> str:
    return f"{number} user{'s' if number > 1 else ''} at once"


def _quantiles(samples: Sequence[Sample], figure: str) -> tuple[Quantile, ...]:
    """The quantiles of a figure. A request that timed out before it had the figure took at least until then;
    one that failed otherwise says nothing about time."""
    values: list[float] = []
    bounds: list[float] = []
    for sample in samples:
        value: float | None = getattr(sample, figure)
        late = sample.error == DeadlineExceeded.code
        if value is not None and (late or not sample.error):
            values.append(value)
        elif late and figure != "tpot":
            bounds.append((sample.ended - sample.started) * 1e3)
    found = [
        percentile([*values, *bounds], level, censored_from=min(bounds, default=math.inf)) for level in LEVELS
    ]
    return tuple(
        Quantile(
            level=estimate.level,
            n=estimate.n,
            needed=estimate.needed,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            at_least=estimate.at_least,
        )
        for estimate in found
    )


def _per_second(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def find_warnings(report: LoadReport) -> list[str]:
    """What a reader must know before the figures, in sentences."""
    sentences = []
    for name in dict.fromkeys(cell.arm for cell in report.cells):
        own = [cell for cell in report.cells if cell.arm == name]
        asked = sum(cell.requests for cell in own)
        abstained = sum(cell.abstained for cell in own)
        if asked and abstained > asked / 5:
            sentences.append(
                f"{name}: {abstained} of {asked} questions found no passage, so that no model was asked: "
                "the questions are not about this collection, and its figures are too good"
            )
    return sentences
