"""What a bundle's answers come to: the same bundle gives the same results, bit for bit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

OVERALL = "overall"
"""The scope of all questions together, each with the same weight; the others are `DATASET`, and
`DATASET/TYPE` where a data set has several types."""

SHARED = ""
"""The "arm" of a rate that is the context's, and so the same for all arms."""

LEVELS = (0.5, 0.95, 0.99)
"""The percentiles that results have."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(_Frozen):
    """One arm's mean in one metric over `n` questions, with its 95 % interval (None: too small a sample).

    `arm` is `SHARED` in the family `context`.
    """

    arm: str
    n: int
    value: float
    low: float | None
    high: float | None


class Delta(_Frozen):
    """An arm against the baseline: `statistics.Difference`, named, with its verdict in one sentence.

    `better` is None where no difference is detectable, and where a metric has no better end.
    """

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

    `family` is `quality`, `latency`, `shape` or `context` (what retrieval found: no deltas). A `primary`
    metric (`correct`, `e2el`) was named before any run: its p is adjusted (Holm) over the arms alone. That of
    the others is adjusted over all arms and all metrics of their family that are not primary, within the
    scope. `higher_is_better` is None where neither end is better (words).
    """

    scope: str
    metric: str
    unit: str
    family: str
    primary: bool
    higher_is_better: bool | None
    rates: tuple[Rate, ...]
    deltas: tuple[Delta, ...]


class RatioResult(_Frozen):
    """How many times the baseline's figure an arm's is, per question: the geometric mean over `n` questions,
    with its interval (None: too small a sample). Above 1 is slower, or more tokens.

    `p` is that of the mean logarithm being 0, `p_adjusted` Holm's over the arms.
    """

    scope: str
    metric: str
    arm: str
    n: int
    clusters: int
    ratio: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float


class PercentileResult(_Frozen):
    """Over all answers, repeats included. `value` None: insufficient, `needed` samples would do. In ms."""

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
    """The 2x2 of answerable and answered, in counts of (question, repeat).

    Failed requests, and thinking that a limit ended before any answer, are in no cell.
    """

    scope: str
    arm: str
    answerable_answered: int
    answerable_abstained: int
    unanswerable_answered: int
    unanswerable_abstained: int


class ArmOutcome(_Frozen):
    """What became of an arm's requests: `asked` is the sum of the others.

    `abstained` declined, by the gateway's floor or in the model's words; `truncated` thought until a limit
    and answered nothing; `failed`: errors by code.
    """

    arm: str
    asked: int
    answered: int
    abstained: int
    truncated: int
    failed: dict[str, int]


class QuestionResult(_Frozen):
    """One answer's scores (metric to value), for the browser of disagreements and the scatter plots.

    Holds every metric that this answer has, latencies included; of a failed request only what failing costs
    it.
    """

    question: str
    arm: str
    repeat: int
    scores: dict[str, float]


class Counted(_Frozen):
    """`count` of `n`, with the 95 % interval of the share, by clusters; None: too small a sample."""

    count: int
    n: int
    low: float | None
    high: float | None


class JudgedArm(_Frozen):
    """An arm against the baseline, as the judge has it.

    `won` and `lost` are pairs with the same winner in both orders, `tied` those without one or with two;
    `unsettled`: an order has no verdict. `alike` answers are ties that were not asked about; those with an
    empty answer are `left_out`. `difference` is (won - lost) / pairs over `n` questions, `alike` ones
    included, with its interval and Holm's p over the arms; None where nothing was settled.
    """

    arm: str
    won: int
    lost: int
    tied: int
    unsettled: int
    alike: int
    left_out: int
    n: int
    clusters: int
    difference: float | None
    low: float | None
    high: float | None
    p_adjusted: float | None
    smallest_detectable: float | None
    better: bool | None
    verdict: str


class JudgeResult(_Frozen):
    """A judge's verdicts, and what they are worth. `baseline` is that of the run, whatever the others here.

    Each of `pairs` was asked about in both orders. `unread`: of all replies those without a verdict, `failed`
    requests among them. `flips`: of the pairs with two verdicts those whose winner changes with the order.
    `first_shown`: of the verdicts for one side those for the answer that was shown first. `kappa` (Cohen's)
    is between the orders; `with_correct` and `with_supported` count the pairs in which the winner in both
    orders is the one that is right, or has the greater share of supported claims (ties: neither), each with
    its kappa.
    """

    judge: str
    model_id: str
    baseline: str
    pairs: int
    failed: int
    unread: Counted
    flips: Counted
    first_shown: Counted
    kappa: float | None
    with_correct: Counted
    kappa_correct: float | None
    with_supported: Counted
    kappa_supported: float | None
    arms: tuple[JudgedArm, ...]


class Results(_Frozen):
    """`verdicts`: for each arm but the baseline, quality and latency in one sentence; `warnings` are what a
    reader must know first (failed requests, questions left out, a sample that is too small).

    `bundle` is the SHA-256 of the records that these results are of. Figures have nine significant digits:
    more would differ between processors. `percentiles`, `stages` and `outcomes` are over all questions.
    """

    bundle: str
    baseline: str
    verdicts: tuple[str, ...]
    warnings: tuple[str, ...]
    metrics: tuple[MetricResult, ...]
    ratios: tuple[RatioResult, ...]
    percentiles: tuple[PercentileResult, ...]
    stages: tuple[StageResult, ...]
    abstention: tuple[AbstentionResult, ...]
    outcomes: tuple[ArmOutcome, ...]
    questions: tuple[QuestionResult, ...]
    judge: JudgeResult | None = None
