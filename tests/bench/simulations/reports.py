"""Simulates whole reports of an arm against itself: how many of them mark anything, and say that it is so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.analysis.correction import Key, correct_preferences, correct_report
from pipelines.evaluation.metric import ContextMetric, Metric, list_metrics
from pipelines.evaluation.statistics import Difference, Paired, compare, mean_interval
from tests.bench.simulations import Plan, Row, make_row
from tests.bench.simulations.differences import draw_clusters

RESAMPLES = 400
ARMS = ("second", "third")
MARKED = (0.0, 0.06)


def draw_scores(
    generator: np.random.Generator, metric: Metric, ability: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draw an answer's score in a metric from how well the answer went, which all its metrics share in part."""
    latent = 0.6 * ability + 0.8 * generator.normal(size=len(ability))
    if metric.unit:
        return np.exp(0.5 * latent) * 100
    return (latent > 0).astype(np.float64) if metric.order % 20 == 0 else 1 / (1 + np.exp(-latent))


def mark_report(generator: np.random.Generator, n: int, clusters: int, seed: int) -> bool:
    """Draw three arms that are alike, and tell whether the report marks any difference."""
    cluster = draw_clusters(generator, n, clusters)
    shared = generator.normal(size=n)
    names = [str(number) for number in cluster]

    def draw_ability() -> NDArray[np.float64]:
        lean = generator.normal(size=clusters)[cluster] if clusters < n else 0.0
        return 0.7 * shared + 0.4 * lean + 0.6 * generator.normal(size=n)

    metrics = [one for one in list_metrics() if one.in_results and not isinstance(one, ContextMetric)]
    abilities = {arm: draw_ability() for arm in ("first", *ARMS)}
    scores = {
        (metric.name, arm): draw_scores(generator, metric, ability)
        for metric in metrics
        for arm, ability in abilities.items()
    }
    differences: dict[Key, Difference] = {}
    ratios: dict[Key, float] = {}
    preferences: dict[str, Difference] = {}
    questions = tuple(map(str, range(n)))
    for arm in ARMS:
        for metric in metrics:
            left, right = scores[metric.name, "first"], scores[metric.name, arm]
            paired = Paired(questions, left, right, cluster, clusters, 0)
            differences[metric.name, arm] = compare(
                metric.name, paired, seed=seed, resamples=RESAMPLES, amounts=bool(metric.unit)
            )
            if metric.as_ratio:
                logs = np.log(right) - np.log(left)
                ratios[metric.name, arm] = mean_interval(logs, names, seed=seed, resamples=RESAMPLES).p
        won = (np.sign(abilities[arm] - abilities["first"]) + 1) / 2
        judged = Paired(questions, 1 - won, won, cluster, clusters, 0)
        preferences[arm] = compare("preference", judged, seed=seed, resamples=RESAMPLES)
    by_difference, by_ratio = correct_report(differences, ratios)
    corrected = (*by_difference.values(), *by_ratio.values(), *correct_preferences(preferences).values())
    return min(corrected) <= 0.05


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield the share of reports that mark a difference between arms that are alike."""
    for n in plan.sizes:
        for clusters in (n, max(10, n // 5)) if n <= 100 else (max(10, n // 5),):
            generator = np.random.default_rng([7, n, clusters])
            marked = [
                mark_report(generator, n, clusters, seed)
                for seed in range(max(1, 3 * plan.simulations // 10))
            ]
            cell = f"n = {n}" + (f" in {clusters} clusters" if clusters < n else "")
            yield make_row(f"reports of alike arms that mark anything: {cell}", marked, *MARKED)
