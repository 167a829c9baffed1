"""The whole of it: a bundle in, its results out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.evaluation.analysis.comparisons import compare_scope
from pipelines.evaluation.analysis.costs import estimate_costs
from pipelines.evaluation.analysis.counts import (
    count_outcomes,
    count_two_by_two,
    estimate_percentiles,
    estimate_stages,
)
from pipelines.evaluation.analysis.evidence import assess_bundle
from pipelines.evaluation.analysis.labels import estimate_labels
from pipelines.evaluation.analysis.preferences import summarise_judge
from pipelines.evaluation.analysis.repeats import compare_turns, estimate_repeats
from pipelines.evaluation.analysis.scores import AnswerScores, gather_samples, list_scopes, score_answers
from pipelines.evaluation.analysis.summary import list_verdicts, list_warnings
from pipelines.evaluation.analysis.trade import describe_trade, draw_risk_curve
from pipelines.evaluation.bundle.integrity import check_contexts, check_times, fingerprint, sort_records
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.gate.policy import USUAL, Policy
from pipelines.evaluation.metric import primary_metric
from pipelines.evaluation.results import OVERALL, MetricResult, QuestionResult, RatioResult, Results
from pipelines.evaluation.swap.records import SequentialResult, SwapResult
from pipelines.evaluation.swap.sequential import make_swap
from pipelines.evaluation.swap.verdict import judge_swaps
from services.core.errors import InvalidRequest

EARLY = (
    "the run stops by its own evidence: the verdict is valid at any time, but the intervals and p of "
    "single metrics are those of a sample whose size was planned, and promise more than they hold here"
)
DIGITS = 9
"""Significant ones of every figure: what is left out differs between processors, and means nothing."""


def compute_results(bundle: Bundle, baseline: str = "", policy: Policy | None = None) -> Results:
    """What the answers come to, against the arm `baseline` (the manifest's first where it is left out).

    `policy` asks whether an arm may take the baseline's place: the run's own where it is left out, else
    `USUAL`. The order of the bundle's records makes no difference. A failed request counts as not correct and
    has no latency. InvalidRequest where there is no such arm, the arms did not answer from the same passages,
    or the policy names what the run does not have.
    """
    check_contexts(bundle)
    check_times(bundle)
    bundle = sort_records(bundle)
    arms = [arm.name for arm in bundle.manifest.arms]
    baseline = baseline or bundle.manifest.baseline
    if baseline not in arms:
        raise InvalidRequest(f"the run has no arm {baseline!r}: it has {', '.join(arms)}")
    seed = bundle.manifest.conditions.seed
    scored = score_answers(bundle)
    by_arm = {arm: [answer for answer in scored if answer.answer.arm == arm] for arm in arms}
    metrics: list[MetricResult] = []
    ratios: list[RatioResult] = []
    abstention = []
    known: dict[frozenset[str], tuple[list[MetricResult], list[RatioResult]]] = {}
    for scope in list_scopes(bundle.questions):
        if scope.questions not in known:  # one data set alone is all of them: no need to draw twice
            samples = gather_samples(scope, scored, bundle)
            known[scope.questions] = compare_scope(scope, samples, arms, baseline, seed)
        own_metrics, own_ratios = known[scope.questions]
        metrics += [result.model_copy(update={"scope": scope.name}) for result in own_metrics]
        ratios += [result.model_copy(update={"scope": scope.name}) for result in own_ratios]
        abstention += [count_two_by_two(scope, arm, by_arm[arm]) for arm in arms]
    outcomes = tuple(count_outcomes(arm, by_arm[arm]) for arm in arms)
    risks = (draw_risk_curve(arm, by_arm[arm]) for arm in arms)
    results = Results(
        bundle=fingerprint(bundle),
        baseline=baseline,
        verdicts=list_verdicts(metrics, ratios, arms, baseline),
        warnings=list_warnings(bundle, scored, outcomes, metrics, baseline=baseline, seed=seed),
        metrics=tuple(metrics),
        ratios=tuple(ratios),
        percentiles=tuple(
            percentile for arm in arms for percentile in estimate_percentiles(arm, by_arm[arm])
        ),
        stages=tuple(estimate_stages(arm, by_arm[arm]) for arm in arms),
        abstention=tuple(counts for counts in abstention if counts is not None),
        outcomes=outcomes,
        risks=tuple(curve for curve in risks if curve is not None),
        questions=_list_scores(scored),
        judge=summarise_judge(bundle, scored, seed),
        repeats=tuple(result for arm in arms for result in estimate_repeats(arm, by_arm[arm])),
        turns=tuple(result for arm in arms for result in compare_turns(arm, by_arm[arm])),
        costs=estimate_costs(bundle.manifest, by_arm, baseline, seed),
        labels=estimate_labels(bundle, scored, baseline),
    )
    policy = policy or bundle.manifest.policy or USUAL
    found = None
    if bundle.manifest.sequential is not None and baseline == bundle.manifest.baseline:
        by_key = {(answer.question.id, answer.answer.arm): answer for answer in scored}
        found = assess_bundle(bundle, by_key, policy)
        results = results.model_copy(update={"warnings": (EARLY, *results.warnings)})
    swaps = _judge_swaps(bundle, results, scored, policy, found)
    return _round(results.model_copy(update={"swaps": swaps, "sequential": found}))


def _judge_swaps(
    bundle: Bundle,
    results: Results,
    scored: Sequence[AnswerScores],
    policy: Policy,
    found: SequentialResult | None,
) -> tuple[SwapResult, ...]:
    """Hold the arms against the policy, with the trade of each; nothing where the run was not scored on the
    usual policy's metric, or is looked at from the candidate's side."""
    quality, baseline = policy.quality, results.baseline
    if quality is None or policy.candidate == baseline:
        return ()
    scope = next((scope for scope in list_scopes(bundle.questions) if scope.name == quality.scope), None)
    if scope is None:
        raise InvalidRequest(f"quality.scope: the run has no {quality.scope!r}")
    latency = primary_metric("latency").name
    ratios = {
        ratio.arm: ratio for ratio in results.ratios if ratio.scope == OVERALL and ratio.metric == latency
    }
    by_arm = {
        outcome.arm: [answer for answer in scored if answer.answer.arm == outcome.arm]
        for outcome in results.outcomes
    }
    trades = {
        arm: describe_trade(arm, own, baseline, by_arm[baseline], ratios.get(arm))
        for arm, own in by_arm.items()
        if arm != baseline
    }
    if found is not None:
        return (make_swap(found, baseline, quality.margin, trades[found.arm]),)
    samples = gather_samples(scope, scored, bundle).get(quality.metric, {})
    return judge_swaps(results, samples, policy, trades, seed=bundle.manifest.conditions.seed)


def _list_scores(scored: Sequence[AnswerScores]) -> tuple[QuestionResult, ...]:
    return tuple(
        QuestionResult(
            question=answer.question.id,
            arm=answer.answer.arm,
            repeat=answer.answer.repeat,
            scores=dict(sorted(answer.scores.items())),
        )
        for answer in scored
    )


def _round(results: Results) -> Results:
    return Results.model_validate(_round_figures(results.model_dump()))


def _round_figures(value: Any) -> Any:  # noqa: ANN401 - the nodes of a JSON tree
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _round_figures(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_round_figures(child) for child in value]
    return value
