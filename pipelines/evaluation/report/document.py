"""What a report holds, before it is HTML, Markdown or JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.bundle.records import Manifest
from pipelines.evaluation.cost_results import CostResult, RepeatResult, TurnResult
from pipelines.evaluation.labelled import LabelResult
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.results import (
    AbstentionResult,
    ArmOutcome,
    JudgeResult,
    MetricResult,
    PercentileResult,
    RatioResult,
    StageResult,
)
from pipelines.evaluation.swap.records import RiskCurve, SequentialResult, SwapResult
from services.core.wire.compare import ArmStatus

FORMAT = 1

Emphasis = Literal["", "cited", "unsupported", "contradicted", "against"]
"""Why a piece of text stands out: `cited` and `against` (it contradicts a sentence) in passages, the others
in answers."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ArmColumn(_Frozen):
    """An arm as it was asked, with its model entry as the gateway describes it. None: not set."""

    name: str
    baseline: bool
    model: str
    model_id: str
    engine: str
    profile: str
    prompt: str
    budget: int | None
    effort: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None


class FrontierPoint(_Frozen):
    """An arm's share of right answers, and its median E2EL in ms, each with its 95 % interval.

    `path` names the arms that a line joins, in the order of `step`: those of one model, by thinking budget.
    """

    arm: str
    path: str
    step: int
    n: int
    quality: float
    quality_low: float | None
    quality_high: float | None
    latency: float
    latency_low: float | None
    latency_high: float | None
    thinking: float | None


class Curve(_Frozen):
    """All values of one arm in the metric `figure`, sorted, in ms."""

    arm: str
    figure: str
    values: tuple[float, ...]


class ThinkingBin(_Frozen):
    """Questions of one arm with similar numbers of thinking tokens, and the share that it got right."""

    arm: str
    least: float
    most: float
    middle: float
    n: int
    correct: float
    low: float
    high: float


class Piece(_Frozen):
    """A part of a text that stands out, or does not, as a whole."""

    text: str
    emphasis: Emphasis = ""


class ShownPassage(_Frozen):
    """A passage of the frozen context; `marker` is its number in the prompt."""

    marker: int
    title: str
    page: int | None
    score: float | None
    pieces: tuple[Piece, ...]


class ShownAnswer(_Frozen):
    """One arm's first answer to the question. `correct` is the mean over the `repeats`; None: not scored.

    `checked`: its sentences were compared with the passages, so that no mark means that nothing was found.
    """

    arm: str
    status: ArmStatus
    correct: float | None
    repeats: int
    pieces: tuple[Piece, ...]
    reasoning: tuple[Piece, ...]
    reasoning_tokens: int | None
    e2el: float | None
    markers: tuple[int, ...]
    checked: bool
    error: str


class Disagreement(_Frozen):
    """A question that the arms do not answer alike. `gained` are the arms that do better than the baseline,
    `lost` those that do worse."""

    question: str
    dataset: str
    type: str
    text: str
    references: tuple[str, ...]
    answerable: bool
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    context_id: str
    passages: tuple[ShownPassage, ...]
    answers: tuple[ShownAnswer, ...]


class Report(_Frozen):
    """All that a report shows. `quality` is the metric of the figures. `differing` counts all disagreements,
    of which `disagreements` are shown in full."""

    format: int = FORMAT
    baseline: str
    quality: str
    swaps: tuple[SwapResult, ...] = ()
    verdicts: tuple[str, ...]
    warnings: tuple[str, ...]
    questions: int
    answers: int
    arms: tuple[ArmColumn, ...]
    metrics: tuple[MetricResult, ...]
    ratios: tuple[RatioResult, ...]
    frontier: tuple[FrontierPoint, ...]
    stages: tuple[StageResult, ...]
    percentiles: tuple[PercentileResult, ...]
    curves: tuple[Curve, ...]
    risks: tuple[RiskCurve, ...] = ()
    thinking: tuple[ThinkingBin, ...]
    abstention: tuple[AbstentionResult, ...]
    outcomes: tuple[ArmOutcome, ...]
    judge: JudgeResult | None = None
    repeats: tuple[RepeatResult, ...] = ()
    turns: tuple[TurnResult, ...] = ()
    costs: tuple[CostResult, ...] = ()
    labels: LabelResult | None = None
    sequential: SequentialResult | None = None
    differing: int
    disagreements: tuple[Disagreement, ...]
    load: LoadReport | None
    manifest: Manifest
    limits: tuple[str, ...]
