"""Simulates the intervals that stand beside one arm's figures: rates, amounts, ratios, percentiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipelines.evaluation.statistics import (
    mean_interval,
    percentile,
    samples_needed,
    share_interval,
)
from pipelines.evaluation.statistics.ratio import ratio_interval
from tests.bench.simulations import COVERAGE, Plan, Row, make_row
from tests.bench.simulations.differences import RESAMPLES, draw_clusters, list_cells

MORE = ((300, 100), (400, 400))
"""Cells of as many clusters as a p95 needs, and as a p99 does."""
FEW_STEPS = 0.985
ALIKE = 0.2
"""The share of the variance that is between clusters."""

Bounds = tuple[float | None, float | None]
Draw = Callable[[np.random.Generator, NDArray[np.intp], list[str]], Bounds]
"""Draws one sample in these clusters, and computes its interval."""


def draw_normal(generator: np.random.Generator, cluster: NDArray[np.intp]) -> NDArray[np.float64]:
    """Draw standard normal values, alike within a cluster where a cluster has several."""
    count = int(cluster.max()) + 1
    alike = ALIKE if count < len(cluster) else 0.0
    between = generator.normal(size=count)[cluster]
    return np.sqrt(alike) * between + np.sqrt(1 - alike) * generator.normal(size=len(cluster))


def bound_share(share: float) -> Draw:
    """Right answers, of which there are so many, with the interval of their share."""
    limit = stats.norm.ppf(share)

    def draw(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
        right = draw_normal(generator, cluster) < limit
        return share_interval(right.astype(float), names) or (None, None)

    return draw


def bound_graded(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
    """Shares of supported claims, evenly spread from 0 to 1, with the interval of their mean."""
    return share_interval(stats.norm.cdf(draw_normal(generator, cluster)), names) or (None, None)


def bound_time(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
    """Times of a skewed distribution, with the interval of their mean, which is 1."""
    times = stats.gamma.ppf(stats.norm.cdf(draw_normal(generator, cluster)), 4, scale=0.25)
    found = mean_interval(times, names, resamples=RESAMPLES, seed=int(generator.integers(1 << 30)))
    return found.low, found.high


def bound_ratio(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
    """Ratios whose logarithms are spread about 0.7, with the interval of the logarithms' mean."""
    logs = 0.7 + 0.4 * draw_normal(generator, cluster)
    found = mean_interval(logs, names, resamples=RESAMPLES, seed=int(generator.integers(1 << 30)))
    return found.low, found.high


def bound_price(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
    """What one more right answer costs, which is 3; no interval where no gain is told from 0."""
    gained = 1 + draw_normal(generator, cluster)
    paid = 3 * gained + generator.normal(size=len(cluster))
    return ratio_interval(paid, gained, cluster, int(cluster.max()) + 1) or (None, None)


def bound_percentile(level: float) -> Draw:
    """Times, with the interval of a percentile of theirs."""

    def draw(generator: np.random.Generator, cluster: NDArray[np.intp], names: list[str]) -> Bounds:
        found = percentile(draw_normal(generator, cluster).tolist(), level, names)
        return found.low, found.high

    return draw


def measure_coverage(draw: Draw, truth: float, cell: tuple[int, int], simulations: int) -> list[bool]:
    """Tell of so many samples whether the interval holds the truth; those without an interval do not count."""
    n, clusters = cell
    generator = np.random.default_rng([11, n, clusters])
    covered = []
    for _ in range(simulations):
        cluster = draw_clusters(generator, n, clusters)
        low, high = draw(generator, cluster, [f"c{number}" for number in cluster])
        if low is not None and high is not None:
            covered.append(low <= truth <= high)
    return covered


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield the coverage of every kind of interval that the report shows."""
    kinds: dict[str, tuple[Draw, float]] = {
        "a share of 70 %": (bound_share(0.7), 0.7),
        "a share of 80 %": (bound_share(0.8), 0.8),
        "a mean of graded scores": (bound_graded, 0.5),
        "a mean of times": (bound_time, 1.0),
        "a ratio": (bound_ratio, 0.7),
        "a cost per right answer": (bound_price, 3.0),
    }
    kinds |= {
        f"p{100 * level:.0f}": (bound_percentile(level), float(stats.norm.ppf(level)))
        for level in (0.5, 0.95, 0.99)
    }
    for kind, (draw, truth) in kinds.items():
        for n, clusters in [*list_cells(plan.sizes), *MORE]:
            if kind.startswith("p") and clusters < samples_needed(float(kind[1:]) / 100):
                continue
            cell = f"{kind}, n = {n}" + (f" in {clusters} clusters" if clusters < n else "")
            covered = measure_coverage(draw, truth, (n, clusters), plan.simulations)
            # of 30 answers in 10 clusters the median has few order statistics to lie between: its interval is
            # of few widths
            most = FEW_STEPS if kind == "p50" and (n, clusters) == (30, 10) else COVERAGE[1]
            yield make_row(f"coverage: {cell}", covered, COVERAGE[0], most)
