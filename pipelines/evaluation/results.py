"""The results of a bundle's answers: the same bundle gives the same results, bit for bit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.cost_results import CostResult, RepeatResult, TurnResult
from pipelines.evaluation.labelled import LabelResult
from pipelines.evaluation.swap.records import RiskCurve, SequentialResult, SwapResult

OVERALL = "overall"
"""The scope of all questions together, each with the same weight. The other scopes are `DATASET`, and
`DATASET/TYPE` where a data set has several types."""

SHARED = ""
"""The "arm" of a rate that is the context's, and so the same for all arms."""

LEVELS = (0.5, 0.95, 0.99)
"""The percentiles that results have."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(_Frozen):
    """One arm's mean in one metric over `n` questions, with its 95 % interval (None: the sample is too
    small).

    `arm` is `SHARED` where the metric is the context's.
    """

    arm: str
    n: int
    value: float
    low: float | None
    high: float | None


class Delta(_Frozen):
    """An arm's difference to the baseline, as in `statistics.Difference`, with its verdict in one sentence.

    `detectable` goes by `p_report`, which is corrected over the whole report; None where the scope is
    exploratory, and nothing is claimed. `better` is None where no difference is detectable, and where neither
    end of the metric is better.
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
    p_report: float | None = None
    test: str
    gained: int | None
    lost: int | None
    smallest_detectable: float | None
    detectable: bool
    better: bool | None
    verdict: str


class MetricResult(_Frozen):
    """One metric in one scope; `unit`, `family`, `primary` and `higher_is_better` are as it declares.

    The p of a `primary` metric, which was named before any run, is adjusted (Holm) over the arms alone. That
    of the others is adjusted over all arms and all metrics of their family that are not primary, within the
    scope. A metric of the context, which all arms share, has no deltas. Scopes other than that of all
    questions are `exploratory`: they are not corrected for each other, and none of their differences is
    called detectable.
    """

    scope: str
    metric: str
    unit: str
    family: str
    primary: bool
    higher_is_better: bool | None
    exploratory: bool = False
    rates: tuple[Rate, ...]
    deltas: tuple[Delta, ...]


class RatioResult(_Frozen):
    """An arm's figure as a multiple of the baseline's: the geometric mean over `n` questions, with its
    interval (None: the sample is too small). Above 1 is slower, or more tokens.

    `p` is that of the mean logarithm being 0, `p_adjusted` Holm's over the arms, `p_report` corrected over
    the whole report, None where the scope is exploratory.
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
    p_report: float | None = None


class PercentileResult(_Frozen):
    """A percentile over all answers, repeats included, in the metric's unit. `value` is None where the sample
    is insufficient; `needed` samples would do. Where questions hang together or are repeated, both count
    clusters. `at_least`: requests that timed out are among those at or above it, so that it is a lower bound;
    `high` is None where the interval reaches them.
    """

    arm: str
    figure: str
    level: float
    n: int
    needed: int
    value: float | None
    low: float | None
    high: float | None
    at_least: bool = False


class StageResult(_Frozen):
    """The medians in ms of one arm's stages: embedding, retrieval, reranking, prefill, think, answer. None
    where a stage never happened."""

    arm: str
    stages: dict[str, float | None]


class AbstentionResult(_Frozen):
    """The 2x2 of answerable and answered, in counts of (question, repeat).

    Failed requests are in no cell, nor is thinking that a limit ended before any answer.
    """

    scope: str
    arm: str
    answerable_answered: int
    answerable_abstained: int
    unanswerable_answered: int
    unanswerable_abstained: int


class ArmOutcome(_Frozen):
    """The outcomes of an arm's requests, in counts: `asked` is the sum of the others.

    `abstained` requests declined, by the gateway's floor or in the model's words; `truncated` ones thought
    until a limit and answered nothing; `failed` has errors by code.
    """

    arm: str
    asked: int
    answered: int
    abstained: int
    truncated: int
    failed: dict[str, int]


class QuestionResult(_Frozen):
    """One answer's scores, metric to value: every metric that applies to it, latencies included. A failed
    request has the metrics alone in which failing scores 0.
    """

    question: str
    arm: str
    repeat: int
    scores: dict[str, float]


class Counted(_Frozen):
    """A count of `n`, with the 95 % interval of the share, by clusters; None: the sample is too small."""

    count: int
    n: int
    low: float | None
    high: float | None


class JudgedArm(_Frozen):
    """An arm against the baseline, by the judge's verdicts.

    `won` and `lost` are pairs with the same winner in both orders, `tied` those without one or with two;
    `unsettled`: an order has no verdict. `alike` answers are ties that were not asked about; those with an
    empty answer are `left_out`. `difference` is (won - lost) / pairs over `n` questions, `alike` ones
    included, with its interval and Holm's p over the arms; None where nothing was settled. `better` goes by
    `p_report`, corrected over the whole report.
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
    p_report: float | None = None
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
    """All results of a bundle.

    `swaps`: for each arm that the policy is about whether it may take the baseline's place; `risks`: what
    withholding the least supported answers buys; `sequential` the evidence of a run that stops by itself.
    `verdicts`: for each arm but the baseline, quality and latency in one sentence. `warnings`: what a reader
    must know first (failed requests, questions left out, a sample that is too small).

    `bundle` is the SHA-256 of the records that these results are of. Figures have nine significant digits:
    more would differ between processors. `percentiles`, `stages` and `outcomes` are over all questions.
    """

    bundle: str
    baseline: str
    swaps: tuple[SwapResult, ...] = ()
    sequential: SequentialResult | None = None
    verdicts: tuple[str, ...]
    warnings: tuple[str, ...]
    metrics: tuple[MetricResult, ...]
    ratios: tuple[RatioResult, ...]
    percentiles: tuple[PercentileResult, ...]
    stages: tuple[StageResult, ...]
    abstention: tuple[AbstentionResult, ...]
    outcomes: tuple[ArmOutcome, ...]
    risks: tuple[RiskCurve, ...] = ()
    questions: tuple[QuestionResult, ...]
    judge: JudgeResult | None = None
    repeats: tuple[RepeatResult, ...] = ()
    turns: tuple[TurnResult, ...] = ()
    costs: tuple[CostResult, ...] = ()
    labels: LabelResult | None = None
