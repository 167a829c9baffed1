"""What a bundle's answers come to: the same bundle gives the same results, bit for bit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

OVERALL = "overall"
"""The scope of all data sets together; the others are `DATASET` and `DATASET/TYPE`."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(_Frozen):
    """One arm's mean in one metric over `n` questions, with its 95 % interval (None: too small a sample)."""

    arm: str
    n: int
    value: float
    low: float | None
    high: float | None


class Delta(_Frozen):
    """An arm against the baseline: `statistics.Difference`, named, with its verdict in one sentence."""

    arm: str
    n: int
    clusters: int
    unpaired: int
    difference: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    test: str
    gained: int | None
    lost: int | None
    smallest_detectable: float | None
    detectable: bool
    better: bool | None
    verdict: str


class MetricResult(_Frozen):
    """One metric in one scope. `unit` is empty for shares (0 to 1), else `ms`, `tokens`, `words`.

    `family` names the metrics that p was adjusted over (Holm): `quality`, `latency` or `shape`.
    """

    scope: str
    metric: str
    unit: str
    family: str
    higher_is_better: bool
    rates: tuple[Rate, ...]
    deltas: tuple[Delta, ...]


class PercentileResult(_Frozen):
    """`value` None: insufficient, `needed` samples would do. In ms."""

    arm: str
    figure: str
    level: float
    n: int
    needed: int
    value: float | None
    low: float | None
    high: float | None


class StageResult(_Frozen):
    """Medians in ms of one arm's stages, for the waterfall: embedding, retrieval, reranking, prefill, think,
    answer. None where a stage never happened."""

    arm: str
    stages: dict[str, float | None]


class AbstentionResult(_Frozen):
    """The 2x2 of answerable and answered, in counts of (question, repeat)."""

    scope: str
    arm: str
    answerable_answered: int
    answerable_abstained: int
    unanswerable_answered: int
    unanswerable_abstained: int


class ArmOutcome(_Frozen):
    """What became of an arm's requests. `truncated` thought until a limit; `failed`: errors by code."""

    arm: str
    asked: int
    answered: int
    abstained: int
    truncated: int
    failed: dict[str, int]


class QuestionResult(_Frozen):
    """One answer's scores (metric to value), for the browser of disagreements and the scatter plots."""

    question: str
    arm: str
    repeat: int
    scores: dict[str, float]


class Results(_Frozen):
    """`verdicts`: for each arm but the baseline, quality and latency in one sentence; `warnings` are what a
    reader must know first (failed requests, questions left out, a sample that is too small)."""

    baseline: str
    verdicts: tuple[str, ...]
    warnings: tuple[str, ...]
    metrics: tuple[MetricResult, ...]
    percentiles: tuple[PercentileResult, ...]
    stages: tuple[StageResult, ...]
    abstention: tuple[AbstentionResult, ...]
    outcomes: tuple[ArmOutcome, ...]
    questions: tuple[QuestionResult, ...]
