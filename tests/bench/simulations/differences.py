"""Simulates comparisons of two arms: false alarms, coverage, and power at the difference that is claimed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.statistics import Paired, compare
from tests.bench.simulations import Plan, Row, make_row

RESAMPLES = 1_000
"""Fewer than in production, which makes intervals a little less steady, never wider."""
ALARMS, COVERAGE = (0.0, 0.055), (0.935, 0.98)


def draw_binary(generator: np.random.Generator, n: int, clusters: int, gain: float) -> Paired:
    """Draw right or wrong answers that differ on a third of the questions; a cluster's questions lean alike."""
    cluster = np.arange(n, dtype=np.intp) % clusters
    lean = generator.random(clusters)[cluster] if clusters < n else generator.random(n)
    follows = generator.random(n) < (0.4 if clusters < n else 0.0)
    draw = np.where(follows, lean, generator.random(n))
    won, lost = draw < (0.3 + gain) / 2, draw > 1 - (0.3 - gain) / 2
    same = generator.random(n) < 0.5
    return make_paired(
        np.where(won, 0.0, np.where(lost, 1.0, same)), np.where(won, 1.0, np.where(lost, 0.0, same)), cluster
    )


def make_paired(
    baseline: NDArray[np.float64], candidate: NDArray[np.float64], cluster: NDArray[np.intp]
) -> Paired:
    """Pair two arms' scores."""
    return Paired(
        tuple(map(str, range(len(cluster)))), baseline, candidate, cluster, int(cluster.max()) + 1, 0
    )


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield false alarms of an arm against itself."""
    for n in plan.sizes:
        for clusters in (n, max(10, n // 5)):
            generator = np.random.default_rng([n, clusters])
            alarms = [
                compare(
                    "m", draw_binary(generator, n, clusters, 0.0), seed=index, resamples=RESAMPLES
                ).detectable
                for index in range(plan.simulations)
            ]
            yield make_row(f"false alarms, right or wrong, n = {n} in {clusters} clusters", alarms, *ALARMS)
