"""Puts a report together out of a bundle and its results, with the numbers that its figures plot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

from pipelines.evaluation.bundle.records import Bundle, Manifest
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.metric import list_metrics, primary_metric
from pipelines.evaluation.metrics.latency import reasoning_tokens
from pipelines.evaluation.report.disagreements import find_disagreements
from pipelines.evaluation.report.document import (
    ArmColumn,
    Curve,
    FrontierPoint,
    Report,
    ThinkingBin,
)
from pipelines.evaluation.report.sections import list_limits
from pipelines.evaluation.results import OVERALL, PercentileResult, Rate, Results
from pipelines.evaluation.statistics.intervals import proportion_interval
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

THINKING = reasoning_tokens.name
BINS = 5
LEAST_IN_BIN = 8


def build_report(bundle: Bundle, results: Results, load: LoadReport | None = None) -> Report:
    """Put a report together; the same arguments give the same report.

    Args:
        bundle: The run.
        results: What its answers come to.
        load: A load run of the same arms, where there was one.
    """
    differing, shown = find_disagreements(bundle, results)
    return Report(
        baseline=results.baseline,
        quality=headline_metric(results),
        swaps=results.swaps,
        verdicts=results.verdicts,
        warnings=results.warnings,
        questions=len(bundle.questions),
        answers=len(bundle.answers),
        arms=_arm_columns(bundle.manifest),
        metrics=results.metrics,
        ratios=results.ratios,
        frontier=frontier_points(bundle, results),
        stages=results.stages,
        percentiles=results.percentiles,
        curves=latency_curves(bundle, results),
        risks=results.risks,
        thinking=thinking_bins(bundle, results),
        abstention=results.abstention,
        outcomes=results.outcomes,
        judge=results.judge,
        repeats=results.repeats,
        turns=results.turns,
        costs=results.costs,
        labels=results.labels,
        sequential=results.sequential,
        differing=differing,
        disagreements=tuple(shown),
        load=load,
        manifest=bundle.manifest,
        limits=list_limits(bundle, results),
    )


def _arm_columns(manifest: Manifest) -> tuple[ArmColumn, ...]:
    models = {name: model for model in manifest.models for name in (*model.aliases, model.id)}
    default = next((model for model in manifest.models if model.default), None)
    columns = []
    for arm in manifest.arms:
        model = (models.get(arm.model) if arm.model else default) or ModelInfo(id=arm.model)
        columns.append(
            ArmColumn(
                name=arm.name,
                baseline=arm.name == manifest.baseline,
                model=model.id,
                model_id=model.model_id,
                engine=model.engine,
                profile=model.profile,
                prompt=arm.prompt,
                budget=arm.max_reasoning_tokens,
                effort=arm.reasoning_effort,
                max_tokens=arm.max_tokens,
                temperature=arm.temperature,
                top_p=arm.top_p,
            )
        )
    return tuple(columns)


def headline_metric(results: Results) -> str:
    """The metric that the figures show: the primary one of quality, else its first; "" where it has none."""
    names = [
        measured.metric
        for measured in results.metrics
        if measured.scope == OVERALL and measured.family == "quality"
    ]
    primary = primary_metric("quality").name
    return primary if primary in names else next(iter(names), "")


def frontier_points(bundle: Bundle, results: Results) -> tuple[FrontierPoint, ...]:
    """Place the arms that have both figures, in the manifest's order."""
    headline = headline_metric(results)
    rates = {
        rate.arm: rate
        for measured in results.metrics
        if measured.scope == OVERALL and measured.metric == headline
        for rate in measured.rates
    }
    latency_name = primary_metric("latency").name
    medians = {
        percentile.arm: percentile
        for percentile in results.percentiles
        if percentile.figure == latency_name and percentile.level == 0.5
    }
    points = []
    for arm in bundle.manifest.arms:
        rate, latency = rates.get(arm.name), medians.get(arm.name)
        if rate is None or latency is None or latency.value is None:
            continue
        points.append(_make_point(arm, rate, latency, _thinking_tokens(results, arm.name)))
    steps = {
        point.arm: _step_key(arm, point)
        for point in points
        for arm in bundle.manifest.arms
        if arm.name == point.arm
    }
    ranks = {arm: rank for rank, arm in enumerate(sorted(steps, key=lambda arm: steps[arm]))}
    return tuple(point.model_copy(update={"step": ranks[point.arm]}) for point in points)


def _thinking_tokens(results: Results, arm: str) -> list[float]:
    return [
        answer.scores[THINKING]
        for answer in results.questions
        if answer.arm == arm and THINKING in answer.scores
    ]


def _make_point(
    arm: ArmRequest, rate: Rate, latency: PercentileResult, thinking: list[float]
) -> FrontierPoint:
    return FrontierPoint(
        arm=arm.name,
        path=arm.model,
        step=0,
        n=rate.n,
        quality=rate.value,
        quality_low=rate.low,
        quality_high=rate.high,
        latency=latency.value or 0.0,
        latency_low=latency.low,
        latency_high=latency.high,
        thinking=median(thinking) if thinking else None,
    )


def _step_key(arm: ArmRequest, point: FrontierPoint) -> tuple[float, float]:
    """The place of an arm on its path: by its budget, or without one by its median of thinking tokens."""
    thinking = point.thinking or 0.0
    budget = arm.max_reasoning_tokens
    return (float(budget) if budget is not None else thinking, thinking)


def latency_curves(bundle: Bundle, results: Results) -> tuple[Curve, ...]:
    """Sort the latencies, by figure, then arm; requests that failed have no place in them."""
    curves = []
    declared = sorted((metric for metric in list_metrics() if metric.curve), key=lambda metric: metric.order)
    for figure in (metric.name for metric in declared):
        for arm in bundle.manifest.arms:
            values = sorted(
                answer.scores[figure]
                for answer in results.questions
                if answer.arm == arm.name and figure in answer.scores
            )
            if values:
                curves.append(Curve(arm=arm.name, figure=figure, values=tuple(values)))
    return tuple(curves)


def thinking_bins(bundle: Bundle, results: Results) -> tuple[ThinkingBin, ...]:
    """Bin the questions of each arm that thought by its thinking tokens.

    There are up to `BINS` bins of as many questions, each of `LEAST_IN_BIN` or more. What counts are a
    question's means over repeats. The interval is Wilson's: it takes questions for independent.
    """
    quality = primary_metric("quality").name
    bins: list[ThinkingBin] = []
    for arm in bundle.manifest.arms:
        by_question: dict[str, list[tuple[float, float]]] = {}
        for answer in results.questions:
            if answer.arm == arm.name and THINKING in answer.scores and quality in answer.scores:
                repeat = (answer.scores[THINKING], answer.scores[quality])
                by_question.setdefault(answer.question, []).append(repeat)
        means = sorted(
            (fmean(tokens for tokens, _ in repeats), fmean(score for _, score in repeats))
            for repeats in by_question.values()
        )
        if means and means[-1][0] > 0:
            bins += _cut_bins(arm.name, means)
    return tuple(bins)


def _cut_bins(arm: str, means: Sequence[tuple[float, float]]) -> list[ThinkingBin]:
    """Cut where as many questions lie on either side, but never between equal numbers of tokens."""
    wanted = max(1, min(BINS, len(means) // LEAST_IN_BIN))
    cuts = {0, len(means)}
    for index in range(1, wanted):
        at = index * len(means) // wanted
        while at < len(means) and means[at][0] == means[at - 1][0]:
            at += 1
        cuts.add(at)
    bins = []
    for start, end in pairwise(sorted(cuts)):
        tokens, scores = zip(*means[start:end], strict=True)
        low, high = proportion_interval(round(sum(scores)), len(scores)) or (0.0, 1.0)
        bins.append(
            ThinkingBin(
                arm=arm,
                least=tokens[0],
                most=tokens[-1],
                middle=median(tokens),
                n=len(scores),
                correct=fmean(scores),
                low=low,
                high=high,
            )
        )
    return bins
