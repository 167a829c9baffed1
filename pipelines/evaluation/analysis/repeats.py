"""What asking a question again changes: how far scores vary of themselves, and whether it is faster then."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, variance

from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name, is_late
from pipelines.evaluation.cost_results import RepeatResult, TurnResult
from pipelines.evaluation.metric import list_metrics
from pipelines.evaluation.statistics import share_interval


def estimate_repeats(arm: str, scored: Sequence[AnswerScores]) -> list[RepeatResult]:
    """Estimate one arm's variance over repeats in every metric; nothing where questions were asked once."""
    results = []
    for metric in (metric for metric in list_metrics() if metric.in_results):
        repeats: dict[str, list[float]] = {}
        clusters: dict[str, str] = {}
        for answer in scored:
            if metric.name in answer.scores:
                repeats.setdefault(answer.question.id, []).append(answer.scores[metric.name])
                clusters[answer.question.id] = cluster_name(answer.question)
        several = {question: values for question, values in repeats.items() if len(values) > 1}
        if not several:
            continue
        within = fmean(variance(values) for values in several.values())
        means = [fmean(values) for values in several.values()]
        # the means' own variance has a part of that within a question in it
        size = fmean(len(values) for values in several.values())
        between = max(0.0, variance(means) - within / size) if len(means) > 1 else None
        alike = [float(len(set(values)) == 1) for values in several.values()]
        low, high = share_interval(alike, [clusters[question] for question in several]) or (None, None)
        results.append(
            RepeatResult(
                arm=arm,
                metric=metric.name,
                questions=len(several),
                within=within,
                between=between,
                alike=fmean(alike),
                alike_low=low,
                alike_high=high,
            )
        )
    return results


def compare_turns(arm: str, scored: Sequence[AnswerScores]) -> list[TurnResult]:
    """The medians of an arm's times when a question was asked for the first time, and when again."""
    results = []
    for metric in (metric for metric in list_metrics() if metric.curve):
        known = [answer for answer in scored if metric.name in answer.scores and not is_late(answer.answer)]
        first = [answer.scores[metric.name] for answer in known if answer.answer.repeat == 0]
        again = [answer.scores[metric.name] for answer in known if answer.answer.repeat > 0]
        if first and again:
            results.append(
                TurnResult(
                    arm=arm,
                    figure=metric.name,
                    first=median(first),
                    first_n=len(first),
                    again=median(again),
                    again_n=len(again),
                )
            )
    return results
