"""A metric's mean per arm, every arm against the baseline, and latency as a factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluation.analysis.correction import Key, correct_report
from pipelines.evaluation.analysis.scores import Samples, Scope
from pipelines.evaluation.metric import ContextMetric, Family, Metric, list_metrics
from pipelines.evaluation.results import OVERALL, Delta, MetricResult, Rate, RatioResult
from pipelines.evaluation.statistics import (
    Difference,
    Interval,
    Score,
    adjust_together,
    compare,
    describe_difference,
    describe_exploratory,
    holm,
    mean_interval,
    pair,
    samples_needed,
    share_interval,
)

ALIKE = 0.95
"""The share of answers that must be known to be alike, where all that were seen are."""


def compare_scope(
    scope: Scope, samples: Samples, arms: Sequence[str], baseline: str, seed: int
) -> tuple[list[MetricResult], list[RatioResult]]:
    """The rates and differences of every metric that any answer in the scope has, and the ratios.

    `p_adjusted` is Holm's within the scope: that of a primary metric over the arms, that of the others over
    the arms and the metrics of their family. `p_report`, by which differences are marked, is corrected over
    the whole report; scopes other than that of all questions have none.
    """
    differences = adjust_differences(_differences(samples, arms, baseline, seed))
    factors = _factors(samples, arms, baseline, seed)
    marked = correct_report(differences, {key: factor.p for key, factor in factors.items()})
    by_difference, by_ratio = marked if scope.name == OVERALL else ({}, {})
    results = []
    for metric in _listed():
        scored = samples.get(metric.name, {})
        columns = [arm for arm in ("", *arms) if scored.get(arm)]
        if not columns:
            continue
        results.append(
            MetricResult(
                scope=scope.name,
                metric=metric.name,
                unit=metric.unit,
                family=metric.family,
                primary=metric.primary,
                higher_is_better=metric.higher_is_better,
                exploratory=scope.name != OVERALL,
                rates=tuple(estimate_rate(arm, scored[arm], metric.unit, seed) for arm in columns),
                deltas=tuple(
                    describe_delta(metric, difference, baseline, arm, by_difference.get((metric.name, arm)))
                    for arm in arms
                    if (difference := differences.get((metric.name, arm))) is not None
                ),
            )
        )
    return results, _describe_ratios(scope, arms, factors, by_ratio)


def estimate_rate(arm: str, scores: Sequence[Score], unit: str, seed: int) -> Rate:
    """The mean over questions, repeats averaged first. A share, which has no `unit`, has Wilson's interval
    with t for z, its sample counted by clusters; an amount has the bootstrap's.

    Of amounts that are all alike no spread is known. So many clusters as a p95 needs show that at least 95 %
    of answers are so (Clopper and Pearson, 1934, of all of them), and the interval is then that one value.
    """
    values: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for score in scores:
        values.setdefault(score.question, []).append(score.value)
        clusters[score.question] = score.cluster
    means = [math.fsum(repeats) / len(repeats) for repeats in values.values()]
    names = [clusters[question] for question in values]
    if not unit:
        spread = share_interval(means, names) or (None, None)
        value = math.fsum(means) / len(means)
        return Rate(arm=arm, n=len(means), value=value, low=spread[0], high=spread[1])
    mean = mean_interval(means, names, seed=seed)
    if mean.low is None and len(set(means)) == 1 and mean.clusters >= samples_needed(ALIKE):
        return Rate(arm=arm, n=mean.n, value=mean.value, low=mean.value, high=mean.value)
    return Rate(arm=arm, n=mean.n, value=mean.value, low=mean.low, high=mean.high)


def compare_arms(
    metric: Metric, baseline: Sequence[Score], candidate: Sequence[Score], seed: int
) -> Difference | None:
    """The candidate's difference to the baseline; None where the two have no question in common."""
    if not _share_questions(baseline, candidate):
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
    """The same differences with Holm's p, over those that are looked at together."""
    together: dict[tuple[Family, str], list[Key]] = {}
    metrics = {metric.name: metric for metric in _listed()}
    for key in differences:
        metric = metrics[key[0]]
        together.setdefault((metric.family, metric.name if metric.primary else ""), []).append(key)
    adjusted: dict[Key, Difference] = {}
    for keys in together.values():
        adjusted.update(zip(keys, adjust_together([differences[key] for key in keys]), strict=True))
    return adjusted


def describe_delta(
    metric: Metric, difference: Difference, baseline: str, arm: str, p_report: float | None
) -> Delta:
    """The difference as results have it, with its verdict; without a p over the whole report it is
    exploratory."""
    discordant = difference.discordant
    judged = replace(difference, p_adjusted=1.0 if p_report is None else p_report)
    return Delta(
        arm=arm,
        n=difference.n,
        clusters=difference.clusters,
        unpaired=difference.unpaired,
        difference=difference.difference,
        low=difference.low,
        high=difference.high,
        p=difference.p,
        p_adjusted=difference.p_adjusted,
        p_report=p_report,
        test=difference.test,
        gained=None if discordant is None else discordant.gained,
        lost=None if discordant is None else discordant.lost,
        smallest_detectable=difference.smallest_detectable,
        detectable=judged.detectable,
        better=None if metric.higher_is_better is None else judged.better,
        verdict=_verdict(metric, difference if p_report is None else judged, baseline, arm, p_report),
    )


def _factors(samples: Samples, arms: Sequence[str], baseline: str, seed: int) -> dict[Key, Interval]:
    """The mean differences of logarithms, of every metric that is compared as a ratio.

    A mean of differences is that of the slowest questions; a ratio gives each question the same weight.
    Questions where a figure is 0 are left out.
    """
    factors: dict[Key, Interval] = {}
    for metric in (metric for metric in _listed() if metric.as_ratio):
        scored = samples.get(metric.name, {})
        for arm in arms:
            factor = None if arm == baseline else _factor(scored.get(baseline, []), scored.get(arm, []), seed)
            if factor is not None:
                factors[metric.name, arm] = factor
    return factors


def _describe_ratios(
    scope: Scope, arms: Sequence[str], factors: dict[Key, Interval], by_ratio: dict[Key, float]
) -> list[RatioResult]:
    """The geometric means of candidate over baseline: the exponentials of the mean differences."""
    ratios: list[RatioResult] = []
    for name in dict.fromkeys(metric for metric, _ in factors):
        own = {arm: factors[name, arm] for arm in arms if (name, arm) in factors}
        ps = holm([factor.p for factor in own.values()])
        ratios += [
            RatioResult(
                scope=scope.name,
                metric=name,
                arm=arm,
                n=factor.n,
                clusters=factor.clusters,
                ratio=math.exp(factor.value),
                low=None if factor.low is None else math.exp(factor.low),
                high=None if factor.high is None else math.exp(factor.high),
                p=factor.p,
                p_adjusted=p,
                p_report=by_ratio.get((name, arm)),
            )
            for (arm, factor), p in zip(own.items(), ps, strict=True)
        ]
    return ratios


def _listed() -> list[Metric]:
    """The metrics by which results compare arms."""
    return [metric for metric in list_metrics() if metric.in_results]


def _share_questions(baseline: Sequence[Score], candidate: Sequence[Score]) -> bool:
    return bool({score.question for score in baseline} & {score.question for score in candidate})


def _differences(samples: Samples, arms: Sequence[str], baseline: str, seed: int) -> dict[Key, Difference]:
    differences: dict[Key, Difference] = {}
    for metric in _listed():
        scored = samples.get(metric.name, {})
        for arm in arms:
            if arm == baseline or isinstance(metric, ContextMetric):
                continue
            difference = compare_arms(metric, scored.get(baseline, ()), scored.get(arm, ()), seed)
            if difference is not None:
                differences[metric.name, arm] = difference
    return differences


def _verdict(metric: Metric, difference: Difference, baseline: str, arm: str, p_report: float | None) -> str:
    named = replace(difference, metric=metric.label)
    if p_report is None:
        return describe_exploratory(named, baseline=baseline, candidate=arm, unit=metric.unit)
    sentence = describe_difference(named, baseline=baseline, candidate=arm, unit=metric.unit)
    if metric.higher_is_better is None:
        for word, neutral in (("better", "higher"), ("worse", "lower")):
            sentence = sentence.replace(f"{arm} is {word} than ", f"{arm} is {neutral} than ", 1)
    return sentence


def _factor(baseline: Sequence[Score], candidate: Sequence[Score], seed: int) -> Interval | None:
    """The mean difference of logarithms; None where the two have no question in common."""
    if not _share_questions(baseline, candidate):
        return None
    paired = pair(baseline, candidate)
    usable = (paired.baseline > 0) & (paired.candidate > 0)
    if not usable.any():
        return None
    logs = np.log(paired.candidate[usable]) - np.log(paired.baseline[usable])
    return mean_interval(logs, [str(number) for number in paired.cluster[usable]], seed=seed)
