"""Whether a policy is settled by the questions so far: evidence for and against each of its criteria.

A wrong "yes" needs one criterion that does not hold and is shown to hold: at most 2.5 %, however many there
are, since all must be shown (intersection and union, Berger 1982). A wrong "no" needs one of the criteria to
be shown to fail, so that each has its part of 2.5 % (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.bundle.records import RunQuestion
from pipelines.evaluation.gate.policy import Policy
from pipelines.evaluation.metric import find_metric
from pipelines.evaluation.statistics.sequential import (
    BoundedScores,
    best_evidence,
    confidence_bounds,
    forecast_clusters,
)
from pipelines.evaluation.swap.criteria import Criterion, Scores, list_criteria
from pipelines.evaluation.swap.records import (
    Answer,
    CriterionResult,
    SequenceStep,
    SequentialResult,
    SwapResult,
    Verdict,
)
from pipelines.evaluation.swap.verdict import LEVEL, count_roughly, describe_answer

MOST_STEPS = 30
MOST_QUESTIONS = 100_000
"""What would need more is not worth a number."""


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question that both arms were asked: their scores, and whether the candidate's request `failed`, or
    was `truncated` before an answer."""

    question: RunQuestion
    baseline: Scores
    candidate: Scores
    failed: bool = False
    truncated: bool = False


Cluster = Sequence[AnsweredQuestion]
"""The questions that hang together, all of them answered."""


def assess_policy(
    policy: Policy,
    arm: str,
    clusters: Sequence[Cluster],
    *,
    largest: int,
    most: int,
    narrowing: bool = True,
) -> SequentialResult:
    """Assess a policy after some clusters of questions.

    Args:
        policy: What is asked; it has a `quality`.
        arm: The candidate.
        clusters: What was answered, in the order of asking, which was drawn at random.
        largest: The most questions that a cluster of the run has.
        most: The questions that the run may ask in all.
        narrowing: Whether the result tells how the bounds narrowed.
    """
    criteria = list_criteria(policy)
    fails_at = -math.log(LEVEL / len(criteria))
    gathered = [gather_scores(criterion, clusters, largest) for criterion in criteria]
    results = [
        _assess(criterion, scores, fails_at) for criterion, scores in zip(criteria, gathered, strict=True)
    ]
    questions = sum(map(len, clusters))
    shares = _check_shares(policy, clusters, max(most, questions))
    answer = _answer([result.outcome for result in (*results, *shares)])
    needed = None
    if answer == "undecided" and questions:
        needed = _forecast(criteria, gathered, fails_at, questions / len(clusters))
    return SequentialResult(
        arm=arm,
        questions=questions,
        clusters=len(clusters),
        answer=answer,
        needed=needed,
        criteria=(*results, *shares),
        not_better=_e_value(best_evidence(gathered[0], -criteria[0].threshold, above=False)),
        steps=_narrow(gathered[0], clusters) if narrowing else (),
    )


def gather_scores(criterion: Criterion, clusters: Sequence[Cluster], largest: int) -> BoundedScores:
    """Sum up what a criterion looks at, by cluster."""
    values = [
        [
            value
            for answered in cluster
            if criterion.counts(answered.question)
            and (value := criterion.value(answered.baseline, answered.candidate)) is not None
        ]
        for cluster in clusters
    ]
    return BoundedScores(
        sums=np.array([math.fsum(scores) for scores in values]),
        sizes=np.array([float(len(scores)) for scores in values]),
        low=criterion.low,
        high=criterion.high,
        largest=largest,
    )


def _assess(criterion: Criterion, scores: BoundedScores, fails_at: float) -> CriterionResult:
    holds = best_evidence(scores, criterion.threshold, above=True)
    fails = best_evidence(scores, criterion.threshold, above=False)
    bounds = sorted(criterion.show(bound) for bound in confidence_bounds(scores, alpha=2 * LEVEL))
    mean = scores.mean
    return CriterionResult(
        scope=criterion.scope,
        metric=criterion.metric,
        asked=criterion.asked,
        limit=criterion.limit,
        value=None if mean is None else criterion.show(mean),
        low=bounds[0],
        high=bounds[1],
        n=scores.n,
        clusters=int(np.count_nonzero(scores.sizes)),
        holds=_e_value(holds),
        fails=_e_value(fails),
        outcome="pass" if holds >= -math.log(LEVEL) else "fail" if fails >= fails_at else "undecided",
    )


def _e_value(logarithm: float) -> float:
    return math.exp(min(logarithm, 300.0))


def _check_shares(policy: Policy, clusters: Sequence[Cluster], most: int) -> list[CriterionResult]:
    """Check the shares of failed and truncated requests: as counted, and lost where no later request can make
    up for them."""
    answered = [question for cluster in clusters for question in cluster]
    results = []
    for asked, limit, count in (
        ("max_failed", policy.max_failed, sum(question.failed for question in answered)),
        ("max_truncated", policy.max_truncated, sum(question.truncated for question in answered)),
    ):
        if limit is None:
            continue
        share = count / len(answered) if answered else 0.0
        results.append(
            CriterionResult(
                scope="overall",
                metric="requests",
                asked=asked,
                limit=limit,
                value=share,
                low=None,
                high=None,
                n=len(answered),
                clusters=len(clusters),
                holds=1.0,
                fails=1.0,
                outcome="fail" if count > limit * most else "pass" if share <= limit else "undecided",
            )
        )
    return results


def _answer(outcomes: Sequence[str]) -> Answer:
    if "fail" in outcomes:
        return "no"
    return "yes" if all(outcome == "pass" for outcome in outcomes) else "undecided"


def _forecast(
    criteria: Sequence[Criterion], gathered: Sequence[BoundedScores], fails_at: float, size: float
) -> int | None:
    """Forecast the questions until all criteria hold, or one fails, whichever comes first."""
    holds, fails = [], []
    for criterion, scores in zip(criteria, gathered, strict=True):
        if best_evidence(scores, criterion.threshold, above=True) < -math.log(LEVEL):
            holds.append(forecast_clusters(scores, criterion.threshold, -math.log(LEVEL), above=True))
        fails.append(forecast_clusters(scores, criterion.threshold, fails_at, above=False))
    clusters = min(max(holds, default=0.0), *fails)
    return None if clusters * size > MOST_QUESTIONS else max(1, math.ceil(clusters * size))


def _narrow(scores: BoundedScores, clusters: Sequence[Cluster]) -> tuple[SequenceStep, ...]:
    counts = np.cumsum([len(cluster) for cluster in clusters], dtype=int)
    stride = max(1, math.ceil(len(counts) / MOST_STEPS))
    steps = []
    for end in range(len(counts), 0, -stride):
        part = BoundedScores(scores.sums[:end], scores.sizes[:end], scores.low, scores.high, scores.largest)
        low, high = confidence_bounds(part, alpha=2 * LEVEL)
        steps.append(SequenceStep(questions=int(counts[end - 1]), low=low, high=high))
    return tuple(reversed(steps))


def make_swap(found: SequentialResult, baseline: str, margin: float, trade: str) -> SwapResult:
    """Put the evidence in the words of a swap. The p are 1 over the greatest e-values, which is valid
    whenever one looks; `needed_alike` is not known."""
    quality = found.criteria[0]
    low = -1.0 if quality.low is None else quality.low
    high = 1.0 if quality.high is None else quality.high
    verdict: Verdict = "undecided"
    if quality.outcome == "fail":
        verdict = "worse"
    elif quality.outcome == "pass":
        verdict = "better" if low > 0 else "equivalent" if high < margin else "non-inferior"
    broken = tuple(_describe(criterion) for criterion in found.criteria[1:] if criterion.outcome == "fail")
    unsettled = tuple(
        _describe(criterion) for criterion in found.criteria[1:] if criterion.outcome == "undecided"
    )
    result = SwapResult(
        arm=found.arm,
        metric=quality.metric,
        scope=quality.scope,
        margin=margin,
        n=quality.n,
        clusters=quality.clusters,
        difference=quality.value or 0.0,
        low=low,
        high=high,
        p_not_worse=min(1.0, 1 / quality.holds),
        p_not_better=min(1.0, 1 / found.not_better),
        verdict=verdict,
        answer=found.answer,
        needed=found.needed,
        needed_alike=None,
        broken=broken,
        open=unsettled,
        sentence="",
        trade=trade,
    )
    return result.model_copy(update={"sentence": _describe_swap(result, found, baseline, low, high)})


def _describe(criterion: CriterionResult) -> str:
    asked = (
        criterion.asked
        if criterion.asked == "must_not_be_worse"
        else f"{criterion.asked} {criterion.limit:g}"
    )
    where = "" if criterion.scope == "overall" else f" in {criterion.scope}"
    measured = "nothing scored" if criterion.value is None else f"{criterion.value:.3g}"
    bounds = (
        ""
        if criterion.low is None or criterion.high is None
        else f", {criterion.low:.3g} to {criterion.high:.3g}"
    )
    return f"{criterion.metric}{where}: {asked} ({measured}{bounds})"


def _describe_swap(
    result: SwapResult, found: SequentialResult, baseline: str, low: float, high: float
) -> str:
    metric = find_metric(result.metric)
    label = metric.label if metric else result.metric
    joint = {"better": "than", "worse": "than", "undecided": "against"}.get(result.verdict, "to")
    clusters = f" in {found.clusters} clusters" if found.clusters < found.questions else ""
    sentences = [
        f"{result.verdict}: {result.arm} {joint} {baseline} in {label} "
        f"({100 * result.difference:+.1f} points, 95 % confidence sequence {100 * low:+.1f} to "
        f"{100 * high:+.1f}, margin {100 * result.margin:.1f}, {found.questions} questions{clusters}, "
        "valid whenever one looks)."
    ]
    if found.answer == "undecided" and found.needed is None:
        sentences.append("What was seen does not tell how many more of these questions would settle it.")
    elif found.answer == "undecided" and found.needed is not None:
        sentences.append(
            f"At this pace it needs about {count_roughly(found.needed)} more of these questions."
        )
    sentences.append(describe_answer(result, baseline))
    return " ".join(sentences)
