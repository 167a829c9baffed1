"""What is counted or read off, not compared: outcomes, abstention, percentiles, stages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from pipelines.evaluation.analysis.scores import AnswerScores, Scope, cluster_name, is_late
from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.metric import list_metrics
from pipelines.evaluation.metrics.abstention import count_abstentions
from pipelines.evaluation.metrics.latency import includes_search, search_time, stage_time
from pipelines.evaluation.results import LEVELS, AbstentionResult, ArmOutcome, PercentileResult, StageResult
from pipelines.evaluation.statistics import percentile
from services.core.wire.answer import SEARCH_STAGES
from services.core.wire.compare import ArmReply

STAGES = (*SEARCH_STAGES, "prefill", "think", "answer")
"""Those of the waterfall, in their order."""


def count_outcomes(arm: str, scored: Sequence[AnswerScores]) -> ArmOutcome:
    """Count what became of an arm's requests."""
    codes = Counter(_error_code(answer.reply) for answer in scored if answer.failed)
    truncated = sum(answer.empty and not answer.failed for answer in scored)
    abstained = sum(answer.declined and not answer.empty for answer in scored)
    return ArmOutcome(
        arm=arm,
        asked=len(scored),
        answered=len(scored) - codes.total() - truncated - abstained,
        abstained=abstained,
        truncated=truncated,
        failed=dict(sorted(codes.items())),
    )


def count_two_by_two(scope: Scope, arm: str, scored: Sequence[AnswerScores]) -> AbstentionResult | None:
    """The 2x2 of answerable and answered; None where of no answered question it is known."""
    counts = count_abstentions(
        (answer.question.item.answerable, answer.declined)
        for answer in scored
        if answer.question.id in scope.questions
        and not answer.empty
        and (answer.question.item.answers or not answer.question.item.answerable)
    )
    if not counts.answerable + counts.unanswerable:
        return None
    return AbstentionResult(
        scope=scope.name,
        arm=arm,
        answerable_answered=counts.answered,
        answerable_abstained=counts.abstained,
        unanswerable_answered=counts.answered_unanswerable,
        unanswerable_abstained=counts.abstained_unanswerable,
    )


def estimate_percentiles(arm: str, scored: Sequence[AnswerScores]) -> list[PercentileResult]:
    """The percentiles of every metric that declares them and that any answer has, in the metrics' `order`."""
    results = []
    declared = (metric for metric in list_metrics() if metric.percentiles != "none")
    for metric in sorted(declared, key=lambda metric: metric.order):
        measured = [answer for answer in scored if metric.name in answer.scores]
        if metric.percentiles == "positive":
            measured = [answer for answer in measured if answer.scores[metric.name] > 0]
        if not measured:
            continue
        values = [answer.scores[metric.name] for answer in measured]
        clusters = [cluster_name(answer.question) or answer.question.id for answer in measured]
        bounds = [answer.scores[metric.name] for answer in measured if is_late(answer.answer)]
        from_here = min(bounds, default=math.inf)
        for level in LEVELS:
            estimate = percentile(values, level, clusters, censored_from=from_here)
            results.append(
                PercentileResult(
                    arm=arm,
                    figure=metric.name,
                    level=level,
                    n=estimate.n,
                    needed=estimate.needed,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    at_least=estimate.at_least,
                )
            )
    return results


def estimate_stages(arm: str, scored: Sequence[AnswerScores]) -> StageResult:
    """The medians of an arm's stages."""
    times: dict[str, list[float]] = {name: [] for name in STAGES}
    for answer in scored:
        if not answer.failed:
            for name, value in split_stages(answer.reply, answer.context).items():
                times[name].append(value)
    return StageResult(
        arm=arm, stages={name: median(values) if values else None for name, values in times.items()}
    )


def split_stages(reply: ArmReply, context: Context) -> dict[str, float]:
    """The stages of one answer that happened, in ms. `prefill` is from the end of the search to the first
    token of any kind, `answer` from the first answer token to the end."""
    timings = reply.timings
    if timings is None:
        return {}
    own = includes_search(timings)
    searched = timings if own else context.timings
    stages = {name: stage_time(searched, name) for name in SEARCH_STAGES}
    if timings.ttft is not None:
        before = (search_time(context) or sum(time or 0.0 for time in stages.values())) if own else 0.0
        stages["prefill"] = max(0.0, timings.ttft - before)
    stages["think"] = timings.think
    if timings.ttfo is not None:
        stages["answer"] = timings.e2el - timings.ttfo
    return {name: value for name, value in stages.items() if value is not None}


def _error_code(reply: ArmReply) -> str:
    return reply.error.code if reply.error is not None else "unknown"
