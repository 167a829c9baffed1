"""What is counted or read off, not compared: outcomes, abstention, percentiles, stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from pipelines.evaluation.analysis.latencies import STAGES, stages
from pipelines.evaluation.analysis.scores import AnswerScores, Scope
from pipelines.evaluation.metrics.abstention import count_abstentions
from pipelines.evaluation.results import LEVELS, AbstentionResult, ArmOutcome, PercentileResult, StageResult
from pipelines.evaluation.statistics import percentile

FIGURES = ("ttft", "ttfo", "think", "tpot", "e2el")


def count_outcomes(arm: str, marked: Sequence[AnswerScores]) -> ArmOutcome:
    codes = Counter(_code(mark) for mark in marked if mark.failed)
    truncated = sum(mark.empty and not mark.failed for mark in marked)
    abstained = sum(mark.declined for mark in marked)
    return ArmOutcome(
        arm=arm,
        asked=len(marked),
        answered=len(marked) - codes.total() - truncated - abstained,
        abstained=abstained,
        truncated=truncated,
        failed=dict(sorted(codes.items())),
    )


def count_abstentions_in(scope: Scope, arm: str, marked: Sequence[AnswerScores]) -> AbstentionResult | None:
    """None where nothing was answered that is known to be answerable or not."""
    found = count_abstentions(
        (mark.asked.item.answerable, mark.declined)
        for mark in marked
        if mark.asked.id in scope.questions
        and not mark.empty
        and (mark.asked.item.answers or not mark.asked.item.answerable)
    )
    if not found.answerable + found.unanswerable:
        return None
    return AbstentionResult(
        scope=scope.name,
        arm=arm,
        answerable_answered=found.answered,
        answerable_abstained=found.abstained,
        unanswerable_answered=found.answered_unanswerable,
        unanswerable_abstained=found.abstained_unanswerable,
    )


def estimate_percentiles(arm: str, marked: Sequence[AnswerScores]) -> list[PercentileResult]:
    """Of the figures that any answer has; of `think` only of answers with thinking."""
    found = []
    for figure in FIGURES:
        values = [mark.metrics[figure] for mark in marked if figure in mark.metrics]
        if figure == "think":
            values = [value for value in values if value > 0]
        if not values:
            continue
        for level in LEVELS:
            each = percentile(values, level)
            found.append(
                PercentileResult(
                    arm=arm,
                    figure=figure,
                    level=level,
                    n=each.n,
                    needed=each.needed,
                    value=each.value,
                    low=each.low,
                    high=each.high,
                )
            )
    return found


def estimate_stages(arm: str, marked: Sequence[AnswerScores]) -> StageResult:
    seen: dict[str, list[float]] = {name: [] for name in STAGES}
    for mark in marked:
        if not mark.failed:
            for name, value in stages(mark.reply, mark.context).items():
                seen[name].append(value)
    return StageResult(
        arm=arm, stages={name: median(values) if values else None for name, values in seen.items()}
    )


def _code(mark: AnswerScores) -> str:
    return mark.reply.error.code if mark.reply.error is not None else "unknown"
