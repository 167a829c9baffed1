"""A report out of a bundle and its results, and the numbers that its figures plot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Literal

from pipelines.evaluation.bundle.records import Bundle, Manifest
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.report.disagreements import disagreements
from pipelines.evaluation.report.document import CORRECT, ArmColumn, Curve, FrontierPoint, Report, ThinkingBin
from pipelines.evaluation.report.sections import limits
from pipelines.evaluation.results import OVERALL, MetricResult, PercentileResult, Rate, Results
from pipelines.evaluation.statistics.intervals import proportion_interval
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

THOUGHT = "reasoning tokens"
FIGURES: tuple[Literal["ttft", "ttfo", "e2el"], ...] = ("ttft", "ttfo", "e2el")
BINS = 5
LEAST_IN_BIN = 8


def build(bundle: Bundle, results: Results, load: LoadReport | None = None) -> Report:
    """The same arguments give the same report. `load` is of the same arms, where they were put under load."""
    differing, shown = disagreements(bundle, results)
    return Report(
        baseline=results.baseline,
        quality=headline(results),
        verdicts=results.verdicts,
        warnings=results.warnings,
        questions=len(bundle.questions),
        answers=len(bundle.answers),
        arms=_columns(bundle.manifest),
        metrics=results.metrics,
        ratios=results.ratios,
        frontier=frontier(bundle, results),
        stages=results.stages,
        percentiles=results.percentiles,
        curves=curves(bundle, results),
        thinking=thinking_bins(bundle, results),
        abstention=results.abstention,
        outcomes=results.outcomes,
        judge=results.judge,
        differing=differing,
        disagreements=tuple(shown),
        load=load,
        manifest=bundle.manifest,
        limits=limits(bundle, results),
    )


def _columns(manifest: Manifest) -> tuple[ArmColumn, ...]:
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


def headline(results: Results) -> str:
    """The metric that the figures show: `correct`, else the first one of quality; "" where there is none."""
    names = [each.metric for each in results.metrics if each.scope == OVERALL and each.family == "quality"]
    return CORRECT if CORRECT in names else next(iter(names), "")


def metric(results: Results, scope: str, name: str) -> MetricResult | None:
    found = (each for each in results.metrics if each.scope == scope and each.metric == name)
    return next(found, None)


def frontier(bundle: Bundle, results: Results) -> tuple[FrontierPoint, ...]:
    """The arms that have both figures, in the manifest's order."""
    measured = metric(results, OVERALL, headline(results))
    rates = {rate.arm: rate for rate in measured.rates} if measured else {}
    medians = {each.arm: each for each in results.percentiles if each.figure == "e2el" and each.level == 0.5}
    points = []
    for arm in bundle.manifest.arms:
        rate, latency = rates.get(arm.name), medians.get(arm.name)
        if rate is None or latency is None or latency.value is None:
            continue
        points.append(_point(arm, rate, latency, _thought(results, arm.name)))
    steps = {
        point.arm: _step(arm, point)
        for point in points
        for arm in bundle.manifest.arms
        if arm.name == point.arm
    }
    ranks = {arm: rank for rank, arm in enumerate(sorted(steps, key=lambda arm: steps[arm]))}
    return tuple(point.model_copy(update={"step": ranks[point.arm]}) for point in points)


def _thought(results: Results, arm: str) -> list[float]:
    return [each.scores[THOUGHT] for each in results.questions if each.arm == arm and THOUGHT in each.scores]


def _point(arm: ArmRequest, rate: Rate, latency: PercentileResult, thought: list[float]) -> FrontierPoint:
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
        thinking=median(thought) if thought else None,
    )


def _step(arm: ArmRequest, point: FrontierPoint) -> tuple[float, float]:
    """Arms with a budget by it; without one by what they thought in the median."""
    thinking = point.thinking or 0.0
    budget = arm.max_reasoning_tokens
    return (float(budget) if budget is not None else thinking, thinking)


def curves(bundle: Bundle, results: Results) -> tuple[Curve, ...]:
    """By figure, then arm; requests that failed have no place in them."""
    found = []
    for figure in FIGURES:
        for arm in bundle.manifest.arms:
            own = (each.scores.get(figure) for each in results.questions if each.arm == arm.name)
            values = sorted(value for value in own if value is not None)
            if values:
                found.append(Curve(arm=arm.name, figure=figure, values=tuple(values)))
    return tuple(found)


def thinking_bins(bundle: Bundle, results: Results) -> tuple[ThinkingBin, ...]:
    """Up to `BINS` bins of as many questions for each arm that thought, each of `LEAST_IN_BIN` or more.

    Per question the means over repeats. The interval is Wilson's: it takes questions for independent.
    """
    bins: list[ThinkingBin] = []
    for arm in bundle.manifest.arms:
        thought: dict[str, list[tuple[float, float]]] = {}
        for each in results.questions:
            if each.arm == arm.name and THOUGHT in each.scores and CORRECT in each.scores:
                pair = (each.scores[THOUGHT], each.scores[CORRECT])
                thought.setdefault(each.question, []).append(pair)
        pairs = sorted(
            (fmean(tokens for tokens, _ in each), fmean(score for _, score in each))
            for each in thought.values()
        )
        if pairs and pairs[-1][0] > 0:
            bins += _binned(arm.name, pairs)
    return tuple(bins)


def _binned(arm: str, pairs: Sequence[tuple[float, float]]) -> list[ThinkingBin]:
    """Cut where as many questions lie on either side, but never between equal numbers of tokens."""
    wanted = max(1, min(BINS, len(pairs) // LEAST_IN_BIN))
    cuts = {0, len(pairs)}
    for index in range(1, wanted):
        at = index * len(pairs) // wanted
        while at < len(pairs) and pairs[at][0] == pairs[at - 1][0]:
            at += 1
        cuts.add(at)
    edges = sorted(cuts)
    bins = []
    for start, end in pairwise(edges):
        tokens, scores = zip(*pairs[start:end], strict=True)
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
