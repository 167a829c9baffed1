"""A metric's mean per arm, and every arm against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluation.analysis.catalogue import METRICS, Family, Metric
from pipelines.evaluation.analysis.scores import Samples, Scope
from pipelines.evaluation.results import Delta, MetricResult, Rate, RatioResult
from pipelines.evaluation.statistics import (
    Difference,
    Interval,
    Score,
    adjust_together,
    compare,
    describe_difference,
    holm,
    mean_interval,
    pair,
    proportion_interval,
    share_interval,
)

Key = tuple[str, str]
"""Metric and arm."""


def compare_metrics(
    scope: Scope, samples: Samples, arms: Sequence[str], baseline: str, seed: int
) -> list[MetricResult]:
    """Of every metric that any answer in the scope has.

    p is adjusted within the scope: that of a primary metric over the arms, that of the others over the arms
    and the metrics of their family.
    """
    differences = adjust_differences(_differences(samples, arms, baseline, seed))
    found = []
    for metric in METRICS:
        scored = samples.get(metric.name, {})
        columns = [arm for arm in ("", *arms) if scored.get(arm)]
        if not columns:
            continue
        found.append(
            MetricResult(
                scope=scope.name,
                metric=metric.name,
                unit=metric.unit,
                family=metric.family,
                primary=metric.primary,
                higher_is_better=metric.higher_is_better,
                rates=tuple(estimate_rate(arm, scored[arm], metric.unit, seed) for arm in columns),
                deltas=tuple(
                    describe_delta(metric, each, baseline, arm)
                    for arm in arms
                    if (each := differences.get((metric.name, arm))) is not None
                ),
            )
        )
    return found


def estimate_rate(arm: str, scores: Sequence[Score], unit: str, seed: int) -> Rate:
    """The mean over questions, repeats averaged first. A share, which has no `unit`, has Wilson's interval,
    its sample counted by clusters; an amount has the bootstrap's."""
    values: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for score in scores:
        values.setdefault(score.question, []).append(score.value)
        clusters[score.question] = score.cluster
    means = [math.fsum(each) / len(each) for each in values.values()]
    names = [clusters[question] for question in values]
    named = [name for name in names if name]
    if len(set(named)) == len(named) and set(means) <= {0.0, 1.0}:
        right = round(math.fsum(means))
        bounds = proportion_interval(right, len(means)) or (None, None)
        return Rate(arm=arm, n=len(means), value=right / len(means), low=bounds[0], high=bounds[1])
    if not unit:
        spread = share_interval(means, names) or (None, None)
        value = math.fsum(means) / len(means)
        return Rate(arm=arm, n=len(means), value=value, low=spread[0], high=spread[1])
    found = mean_interval(means, names, seed=seed)
    return Rate(arm=arm, n=found.n, value=found.value, low=found.low, high=found.high)


def compare_arms(
    metric: Metric, baseline: Sequence[Score], candidate: Sequence[Score], seed: int
) -> Difference | None:
    """None where the two arms have no question in common."""
    if not {each.question for each in baseline} & {each.question for each in candidate}:
        return None
    better_up = metric.higher_is_better is not False
    return compare(
        metric.name,
        pair(baseline, candidate),
        seed=seed,
        higher_is_better=better_up,
        amounts=bool(metric.unit),
    )


def adjust_differences(differences: dict[Key, Difference]) -> dict[Key, Difference]:
    """The same with Holm's p, over those that are looked at together."""
    together: dict[tuple[Family, str], list[Key]] = {}
    metrics = {metric.name: metric for metric in METRICS}
    for key in differences:
        metric = metrics[key[0]]
        together.setdefault((metric.family, metric.name if metric.primary else ""), []).append(key)
    found: dict[Key, Difference] = {}
    for keys in together.values():
        found.update(zip(keys, adjust_together([differences[key] for key in keys]), strict=True))
    return found


def describe_delta(metric: Metric, found: Difference, baseline: str, arm: str) -> Delta:
    return Delta(
        arm=arm,
        n=found.n,
        clusters=found.clusters,
        unpaired=found.unpaired,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        p_adjusted=found.p_adjusted,
        test=found.test,
        gained=None if found.discordant is None else found.discordant.gained,
        lost=None if found.discordant is None else found.discordant.lost,
        smallest_detectable=found.smallest_detectable,
        detectable=found.detectable,
        better=None if metric.higher_is_better is None else found.better,
        verdict=_sentence(metric, found, baseline, arm),
    )


def _differences(samples: Samples, arms: Sequence[str], baseline: str, seed: int) -> dict[Key, Difference]:
    found: dict[Key, Difference] = {}
    for metric in METRICS:
        scored = samples.get(metric.name, {})
        for arm in arms:
            if arm == baseline or metric.family == "context":
                continue
            each = compare_arms(metric, scored.get(baseline, ()), scored.get(arm, ()), seed)
            if each is not None:
                found[metric.name, arm] = each
    return found


def _sentence(metric: Metric, found: Difference, baseline: str, arm: str) -> str:
    said = describe_difference(
        replace(found, metric=metric.said), baseline=baseline, candidate=arm, unit=metric.unit
    )
    if metric.higher_is_better is None:
        for word, neutral in (("better", "higher"), ("worse", "lower")):
            said = said.replace(f"{arm} is {word} than ", f"{arm} is {neutral} than ", 1)
    return said


FIGURES = ("e2el", "ttft", "ttfo", "completion tokens")


def compare_ratios(
    scope: Scope, samples: Samples, arms: Sequence[str], baseline: str, seed: int
) -> list[RatioResult]:
    """The geometric mean of candidate over baseline: the exponential of the mean difference of logarithms.

    A mean of differences is that of the slowest questions; a ratio gives each question the same weight. Those
    where a figure is 0 are left out.
    """
    found: list[RatioResult] = []
    for figure in FIGURES:
        scored = samples.get(figure, {})
        factors = {
            arm: factor
            for arm in arms
            if arm != baseline
            and (factor := _factor(scored.get(baseline, []), scored.get(arm, []), seed)) is not None
        }
        ps = holm([factor.p for factor in factors.values()])
        found += [
            RatioResult(
                scope=scope.name,
                metric=figure,
                arm=arm,
                n=factor.n,
                clusters=factor.clusters,
                ratio=math.exp(factor.value),
                low=None if factor.low is None else math.exp(factor.low),
                high=None if factor.high is None else math.exp(factor.high),
                p=factor.p,
                p_adjusted=p,
            )
            for (arm, factor), p in zip(factors.items(), ps, strict=True)
        ]
    return found


def _factor(baseline: Sequence[Score], candidate: Sequence[Score], seed: int) -> Interval | None:
    """The mean difference of logarithms; None where the two have no question in common."""
    if not {each.question for each in baseline} & {each.question for each in candidate}:
        return None
    paired = pair(baseline, candidate)
    usable = (paired.baseline > 0) & (paired.candidate > 0)
    if not usable.any():
        return None
    logs = np.log(paired.candidate[usable]) - np.log(paired.baseline[usable])
    return mean_interval(logs, [str(number) for number in paired.cluster[usable]], seed=seed)
