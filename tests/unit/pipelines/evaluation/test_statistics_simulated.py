"""The promises that only many experiments can check: false alarms at 5 %, and intervals that cover at 95 %.

With 2,500 experiments, as in `make test-soak`, the standard error of a rate of 5 % is 0.44 points, so a test that
keeps its level stays within 3.5 % to 6.5 % by more than three of them, and one that has 8 % falls out by as many.
`make test` makes 1,000 of them and holds the same bounds. The seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipelines.evaluation.statistics import Paired, compare, mcnemar, share_interval
from pipelines.evaluation.statistics.bootstrap import interval
from tests.soak import SOAK, rounds

pytestmark = pytest.mark.soak

EXPERIMENTS = rounds(1_000, 2_500)
RESAMPLES = 600


def some(*cases: tuple[object, ...]) -> Sequence[tuple[object, ...]]:
    """The first two of these, which differ most; all of them in `make test-soak`."""
    return cases if SOAK else cases[:2]


def unclustered(generator, n: int, gain: float):
    """Right or wrong, of independent questions; the arms differ on 30 % of them, `gain` in the mean."""
    draw = generator.random(n)
    baseline = (generator.random(n) < 0.5).astype(float)
    flip = np.where(baseline == 0, draw < 0.3 + gain, draw < 0.3 - gain)
    return baseline, np.where(flip, 1 - baseline, baseline), np.arange(n, dtype=np.intp)


def clustered(generator, n: int, gain: float):
    """Questions on passages of uneven size; a passage suits the one arm or the other."""
    sizes = generator.integers(1, 8, size=n // 4)
    cluster = np.repeat(np.arange(len(sizes), dtype=np.intp), sizes)
    lean = generator.normal(0.0, 0.3, size=len(sizes))[cluster]
    baseline = generator.normal(0.5, 0.2, size=len(cluster))
    return baseline, baseline + gain + lean + generator.normal(0.0, 0.3, size=len(cluster)), cluster


def experiment(generator, kind, n: int, gain: float) -> Paired:
    baseline, candidate, cluster = kind(generator, n, gain)
    return Paired(tuple(map(str, range(len(cluster)))), baseline, candidate, cluster, int(cluster[-1]) + 1, 0)


MORE_SIZES = [(unclustered, 250), (clustered, 240)] if SOAK else []
SIZES = pytest.mark.parametrize(("kind", "n"), [(unclustered, 120), (clustered, 120), *MORE_SIZES])


@SIZES
def test_intervals_cover_as_often_as_they_say(kind, n: int) -> None:
    generator = np.random.default_rng(n)
    covered = []
    for index in range(EXPERIMENTS):
        found = experiment(generator, kind, n, 0.12)
        spread = interval(found.differences, found.cluster, found.clusters, seed=index, resamples=RESAMPLES)
        covered.append(spread.low <= 0.12 <= spread.high)
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    ("clusters", "largest", "share", "alike", "graded"),
    some(
        (40, 1, 0.7, 0.0, False),
        (60, 7, 0.5, 0.3, True),
        (15, 7, 0.6, 0.3, False),
        (40, 1, 0.9, 0.1, True),
        (60, 7, 0.5, 0.0, False),
        (30, 7, 0.85, 0.3, False),
        (60, 2, 0.9, 0.1, False),
    ),
)
def test_intervals_of_shares_cover_as_often_as_they_say(
    clusters: int, largest: int, share: float, alike: float, graded: bool
) -> None:
    """Questions of a cluster are right with one probability, from a beta distribution whose correlation is
    `alike`; graded ones are the mean of three repeats."""
    generator = np.random.default_rng(clusters)
    covered = []
    for _ in range(EXPERIMENTS):
        sizes = generator.integers(1, largest + 1, size=clusters)
        strength = (1 - alike) / alike if alike else np.inf
        chance = np.full(clusters, share)
        if alike:
            chance = generator.beta(share * strength, (1 - share) * strength, size=clusters)
        each = np.repeat(chance, sizes)
        values = generator.binomial(3, each) / 3 if graded else (generator.random(len(each)) < each) * 1.0
        low, high = share_interval(values, [f"c{index}" for index in np.repeat(np.arange(clusters), sizes)])
        covered.append(low <= share <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    ("n", "size", "gain", "loss", "together"),
    some(
        (20, 1, 0.2, 0.1, 0.0),
        (60, 3, 0.15, 0.05, 0.5),
        (20, 1, 0.9, 0.0, 0.0),
        (60, 1, 0.15, 0.05, 0.0),
        (40, 1, 0.5, 0.05, 0.0),
        (40, 2, 0.3, 0.2, 0.5),
        (100, 2, 0.1, 0.05, 0.5),
    ),
)
def test_intervals_of_few_discordant_questions_cover_as_often_as_they_say(
    n: int, size: int, gain: float, loss: float, together: float
) -> None:
    """A question follows its cluster with the probability `together`, else falls for itself."""
    generator = np.random.default_rng(n + size)
    cluster = np.repeat(np.arange(n // size, dtype=np.intp), size)
    covered = []
    for index in range(rounds(500, 1_000)):
        draw = np.where(
            generator.random(n) < together, generator.random(n // size)[cluster], generator.random(n)
        )
        won, lost = draw < gain, (draw >= gain) & (draw < gain + loss)
        same = Paired(tuple(map(str, range(n))), lost * 1.0, won * 1.0, cluster, n // size, 0)
        found = compare("m", same, seed=index, resamples=RESAMPLES)
        assert found.low is not None
        assert (found.low <= 0 <= found.high) == (found.p > 0.05)
        covered.append(found.low <= gain - loss <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.97


@SIZES
def test_an_arm_against_itself_gives_false_alarms_as_often_as_they_say(kind, n: int) -> None:
    generator = np.random.default_rng(n + 1)
    alarms = [
        compare("m", experiment(generator, kind, n, 0.0), seed=index, resamples=RESAMPLES).detectable
        for index in range(EXPERIMENTS)
    ]
    assert 0.035 <= np.mean(alarms) <= 0.065


def test_few_discordant_pairs_give_fewer_false_alarms_never_more() -> None:
    """30 questions, of which 9 are discordant on average."""
    generator = np.random.default_rng(30)
    alarms = [
        compare("m", experiment(generator, unclustered, 30, 0.0), seed=index, resamples=RESAMPLES).detectable
        for index in range(EXPERIMENTS)
    ]
    assert 0.005 < np.mean(alarms) <= 0.055


def test_clusters_that_are_not_told_raise_false_alarms() -> None:
    """What the clustering is for: the same experiments, taken for independent questions."""
    generator = np.random.default_rng(9)
    alarms = []
    for index in range(rounds(400, 1_000)):
        same = experiment(generator, clustered, 200, 0.0)
        alone = np.arange(len(same.questions), dtype=np.intp)
        alarms.append(
            interval(same.differences, alone, len(alone), seed=index, resamples=RESAMPLES).p <= 0.05
        )
    assert np.mean(alarms) > 0.12


@pytest.mark.parametrize("n", [60, 250, 1_000] if SOAK else [60, 250])
def test_mcnemar_keeps_its_level_computed_without_drawing(n: int) -> None:
    """The level under no difference, summed over every outcome; 30 % of the questions are discordant."""
    level = 0.0
    for discordant in range(1, n + 1):
        weight = stats.binom.pmf(discordant, n, 0.3)
        if weight > 1e-9:
            rejected = sum(mcnemar(k, discordant - k) <= 0.05 for k in range(discordant // 2 + 1))
            level += weight * 2 * stats.binom.cdf(rejected - 1, discordant, 0.5)
    assert 0.025 < level <= 0.05
