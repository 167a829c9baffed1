"""Simulates comparisons of two arms: false alarms, coverage, and power at the difference that is claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.statistics import Difference, Paired, compare
from tests.bench.simulations import ALARMS, COVERAGE, POWER, Plan, Row, make_row

RESAMPLES = 1_000
"""Fewer than in production, which makes intervals a little less steady, never wider."""
DISCORDANCE = 0.5
"""The share of the questions on which two arms that are right or wrong differ."""
LEAN = 0.2
"""How far, at the most, a cluster's questions lean to the one arm or the other."""
FEW = 10

Draw = Callable[[np.random.Generator, int, int, float], Paired]


def draw_clusters(generator: np.random.Generator, n: int, clusters: int) -> NDArray[np.intp]:
    """Draw each question's cluster: of uneven sizes, none empty; one each where there are as many."""
    sizes = np.ones(clusters, dtype=np.intp)
    if clusters < n:
        sizes += generator.multinomial(n - clusters, generator.dirichlet(np.full(clusters, 3.0)))
    return np.repeat(np.arange(clusters, dtype=np.intp), sizes)


def draw_binary(generator: np.random.Generator, n: int, clusters: int, gain: float) -> Paired:
    """Draw right or wrong answers. A cluster suits the one arm or the other, evenly on the whole."""
    cluster = draw_clusters(generator, n, clusters)
    reach = min(LEAN, max(0.0, DISCORDANCE - abs(gain))) if clusters < n else 0.0
    lean = gain + generator.uniform(-reach, reach, size=clusters)[cluster]
    differ, same = max(DISCORDANCE, abs(gain)), generator.random(n) < 0.5
    draw = generator.random(n)
    won, lost = draw < (differ + lean) / 2, draw >= 1 - (differ - lean) / 2
    baseline = np.where(won, 0.0, np.where(lost, 1.0, same))
    return make_paired(baseline, np.where(won, 1.0, np.where(lost, 0.0, same)), cluster)


def draw_graded(generator: np.random.Generator, n: int, clusters: int, gain: float) -> Paired:
    """Draw graded scores. A third of the variance of their differences is between clusters."""
    cluster = draw_clusters(generator, n, clusters)
    shared = generator.normal(0.0, 0.1, size=clusters)[cluster] if clusters < n else 0.0
    baseline = generator.normal(0.5, 0.1, size=n)
    return make_paired(baseline, baseline + gain + shared + generator.normal(0.0, 0.14, size=n), cluster)


def draw_skewed(generator: np.random.Generator, n: int, clusters: int, gain: float) -> Paired:
    """Draw times: the candidate's lag is of a skewed distribution, as that of latencies is."""
    cluster = draw_clusters(generator, n, clusters)
    shared = generator.normal(0.0, 100.0, size=clusters)[cluster] if clusters < n else 0.0
    baseline = generator.gamma(4.0, 250.0, size=n)
    lag = generator.gamma(4.0, 100.0, size=n) - 400.0
    return make_paired(baseline, baseline + gain + shared + lag, cluster)


def make_paired(
    baseline: NDArray[np.float64], candidate: NDArray[np.float64], cluster: NDArray[np.intp]
) -> Paired:
    """Pair two arms' scores."""
    questions = tuple(map(str, range(len(cluster))))
    return Paired(questions, baseline, candidate, cluster, int(cluster.max()) + 1, 0)


def list_cells(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """List numbers of questions and of clusters: none shared, about five questions each, and 10 in all."""
    cells = [(n, clusters) for n in sizes for clusters in (n, max(FEW, n // 5), FEW)]
    return list(dict.fromkeys(cells))


def run_experiments(
    draw: Draw, n: int, clusters: int, gain: float, simulations: int, *, amounts: bool
) -> list[Difference]:
    """Compare the arms of so many drawn runs; in every other one the gain is a loss."""
    generator = np.random.default_rng([n, clusters, int(1e6 * abs(gain))])
    gains = (gain if index % 2 else -gain for index in range(simulations))
    return [
        compare("m", draw(generator, n, clusters, one), seed=index, resamples=RESAMPLES, amounts=amounts)
        for index, one in enumerate(gains)
    ]


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield false alarms of an arm against itself; coverage of no difference, and of the one that is claimed;
    power at that one, the median of those that the first experiments claim."""
    kinds: dict[str, Draw] = {"right or wrong": draw_binary, "graded": draw_graded, "times": draw_skewed}
    for kind, draw in kinds.items():
        for n, clusters in list_cells(plan.sizes):
            cell = f"{kind}, n = {n}" + (f" in {clusters} clusters" if clusters < n else "")
            amounts = kind == "times"
            found = run_experiments(draw, n, clusters, 0.0, plan.simulations, amounts=amounts)
            claims = [one.smallest_detectable for one in found if one.smallest_detectable is not None]
            yield make_row(f"false alarms: {cell}", [one.detectable for one in found], *ALARMS)
            yield make_row(
                f"coverage, no difference: {cell}", [_covers(one, 0.0) for one in found], *COVERAGE
            )
            if len(claims) < len(found) / 2:
                continue
            claim = round(float(np.median(claims)), 4)
            found = run_experiments(draw, n, clusters, claim, plan.simulations, amounts=amounts)
            covered = [_covers(one, claim if index % 2 else -claim) for index, one in enumerate(found)]
            yield make_row(f"coverage at {claim:.4g}: {cell}", covered, *COVERAGE)
            yield make_row(f"power at {claim:.4g}: {cell}", [one.detectable for one in found], *POWER)


def _covers(found: Difference, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high
