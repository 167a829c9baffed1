"""A metric's mean per arm, and every arm against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pipelines.evaluation.analysis.catalogue import METRICS, Family, Metric
from pipelines.evaluation.analysis.scopes import Samples, Scope
from pipelines.evaluation.results import Delta, MetricResult, Rate
from pipelines.evaluation.statistics import (
    Difference,
    Score,
    compare,
    family,
    mean_interval,
    pair,
    proportion_interval,
    share_interval,
    verdict,
)

Key = tuple[str, str]
"""Metric and arm."""


def metric_results(
    scope: Scope, samples: Samples, arms: Sequence[str], baseline: str, seed: int
) -> list[MetricResult]:
    """Of every metric that any answer in the scope has.

    p is adjusted within the scope: that of a primary metric over the arms, that of the others over the arms
    and the metrics of their family.
    """
    differences = adjusted(_differences(samples, arms, baseline, seed))
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
                rates=tuple(rate(arm, scored[arm], metric.unit, seed) for arm in columns),
                deltas=tuple(
                    delta(metric, each, baseline, arm)
                    for arm in arms
                    if (each := differences.get((metric.name, arm))) is not None
                ),
            )
        )
    return found


def rate(arm: str, scores: Sequence[Score], unit: str, seed: int) -> Rate:
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


def difference(
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


def adjusted(differences: dict[Key, Difference]) -> dict[Key, Difference]:
    """The same with Holm's p, over those that are looked at together."""
    together: dict[tuple[Family, str], list[Key]] = {}
    metrics = {metric.name: metric for metric in METRICS}
    for key in differences:
        metric = metrics[key[0]]
        together.setdefault((metric.family, metric.name if metric.primary else ""), []).append(key)
    found: dict[Key, Difference] = {}
    for keys in together.values():
        found.update(zip(keys, family([differences[key] for key in keys]), strict=True))
    return found


def delta(metric: Metric, found: Difference, baseline: str, arm: str) -> Delta:
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
            each = difference(metric, scored.get(baseline, ()), scored.get(arm, ()), seed)
            if each is not None:
                found[metric.name, arm] = each
    return found


def _sentence(metric: Metric, found: Difference, baseline: str, arm: str) -> str:
    said = verdict(replace(found, metric=metric.said), baseline=baseline, candidate=arm, unit=metric.unit)
    if metric.higher_is_better is None:
        for word, neutral in (("better", "higher"), ("worse", "lower")):
            said = said.replace(f"{arm} is {word} than ", f"{arm} is {neutral} than ", 1)
    return said
