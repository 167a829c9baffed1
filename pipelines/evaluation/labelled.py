"""What people's marks of a run's answers come to, as results have it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelledEstimate(_Frozen):
    """The share of an arm's answers that people would call right, or supported; or with `against` its
    difference to that arm's. With its 95 % interval, from `labelled` of `n` answers, corrected by the
    scorer's marks of all, whose own mean is `scored`; `weight` 0: they were no help."""

    metric: str
    arm: str
    against: str
    n: int
    labelled: int
    scored: float
    value: float
    low: float
    high: float
    weight: float


class ScorerError(_Frozen):
    """How often the scorer and people differ on answers of this run: `wrong` of `n`, with the 95 % interval
    by clusters; `too_good` of these the scorer let pass and people did not."""

    metric: str
    arm: str
    wrong: int
    n: int
    low: float | None
    high: float | None
    too_good: int


class LabelResult(_Frozen):
    """People's marks of this run: `marked` answers; estimates need `needed` of an arm. `sha256` is over the
    marks, which the bundle's own hash leaves out."""

    sha256: str
    marked: int
    needed: int
    estimates: tuple[LabelledEstimate, ...]
    errors: tuple[ScorerError, ...]
