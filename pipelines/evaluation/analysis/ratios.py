"""Latency as a factor: how many times as long an arm takes, question by question."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipelines.evaluation.analysis.scopes import Samples, Scope
from pipelines.evaluation.results import RatioResult
from pipelines.evaluation.statistics import Interval, Score, holm, mean_interval, pair

FIGURES = ("e2el", "ttft", "ttfo", "completion tokens")


def ratio_results(
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
