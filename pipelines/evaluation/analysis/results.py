"""The whole of it: a bundle in, its results out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.evaluation.analysis.comparisons import compare_metrics, compare_ratios
from pipelines.evaluation.analysis.counts import (
    count_abstentions_in,
    count_outcomes,
    estimate_percentiles,
    estimate_stages,
)
from pipelines.evaluation.analysis.preferences import summarise_judge
from pipelines.evaluation.analysis.scores import AnswerScores, gather_samples, list_scopes, score_answers
from pipelines.evaluation.analysis.summary import list_verdicts, list_warnings
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import check_contexts, fingerprint, sort_records
from pipelines.evaluation.results import MetricResult, QuestionResult, RatioResult, Results
from services.core.errors import InvalidRequest

DIGITS = 9
"""Significant ones of every figure: what is left out differs between processors, and means nothing."""


def compute_results(bundle: Bundle, baseline: str = "") -> Results:
    """What the answers come to, against the arm `baseline` (the manifest's first where it is left out).

    The order of the bundle's records makes no difference. A failed request counts as not correct and has no
    latency. InvalidRequest where there is no such arm, or the arms did not answer from the same passages.
    """
    check_contexts(bundle)
    bundle = sort_records(bundle)
    arms = [arm.name for arm in bundle.manifest.arms]
    baseline = baseline or bundle.manifest.baseline
    if baseline not in arms:
        raise InvalidRequest(f"the run has no arm {baseline!r}: it has {', '.join(arms)}")
    seed = bundle.manifest.conditions.seed
    marked = score_answers(bundle)
    by_arm = {arm: [mark for mark in marked if mark.answer.arm == arm] for arm in arms}
    metrics: list[MetricResult] = []
    ratios: list[RatioResult] = []
    abstention = []
    known: dict[frozenset[str], tuple[list[MetricResult], list[RatioResult]]] = {}
    for scope in list_scopes(bundle.questions):
        if scope.questions not in known:  # one data set alone is all of them: no need to draw twice
            found = gather_samples(scope, marked, bundle)
            known[scope.questions] = (
                compare_metrics(scope, found, arms, baseline, seed),
                compare_ratios(scope, found, arms, baseline, seed),
            )
        metrics += [each.model_copy(update={"scope": scope.name}) for each in known[scope.questions][0]]
        ratios += [each.model_copy(update={"scope": scope.name}) for each in known[scope.questions][1]]
        abstention += [count_abstentions_in(scope, arm, by_arm[arm]) for arm in arms]
    outcomes = tuple(count_outcomes(arm, by_arm[arm]) for arm in arms)
    return _rounded(
        Results(
            bundle=fingerprint(bundle),
            baseline=baseline,
            verdicts=list_verdicts(metrics, ratios, arms, baseline),
            warnings=list_warnings(bundle, marked, outcomes, metrics, baseline=baseline, seed=seed),
            metrics=tuple(metrics),
            ratios=tuple(ratios),
            percentiles=tuple(each for arm in arms for each in estimate_percentiles(arm, by_arm[arm])),
            stages=tuple(estimate_stages(arm, by_arm[arm]) for arm in arms),
            abstention=tuple(each for each in abstention if each is not None),
            outcomes=outcomes,
            questions=_questions(marked),
            judge=summarise_judge(bundle, marked, seed),
        )
    )


def _questions(marked: Sequence[AnswerScores]) -> tuple[QuestionResult, ...]:
    return tuple(
        QuestionResult(
            question=mark.asked.id,
            arm=mark.answer.arm,
            repeat=mark.answer.repeat,
            scores=dict(sorted(mark.metrics.items())),
        )
        for mark in marked
    )


def _rounded(found: Results) -> Results:
    return Results.model_validate(_significant(found.model_dump()))


def _significant(value: Any) -> Any:  # noqa: ANN401 - the nodes of a JSON tree
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _significant(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_significant(each) for each in value]
    return value
