"""The promises that only many experiments can check: false alarms at 5 %, and intervals that cover at 95 %.

With 2,500 experiments the standard error of a rate of 5 % is 0.44 points, so a test that keeps its level stays
within 3.5 % to 6.5 % by more than three of them, and one that has 8 % falls out by as many. The seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipelines.evaluation.statistics import Paired, compare, mcnemar
from pipelines.evaluation.statistics.bootstrap import interval

EXPERIMENTS = 2_500
RESAMPLES = 600


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


SIZES = pytest.mark.parametrize(
    ("kind", "n"), [(unclustered, 120), (unclustered, 250), (clustered, 120), (clustered, 240)]
)


@SIZES
def test_intervals_cover_as_often_as_they_say(kind, n: int) -> None:
    generator = np.random.default_rng(n)
    covered = []
    for index in range(EXPERIMENTS):
        found = experiment(generator, kind, n, 0.12)
        spread = interval(found.differences, found.cluster, found.clusters, seed=index, resamples=RESAMPLES)
        covered.append(spread.low <= 0.12 <= spread.high)
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
    for index in range(1_000):
        same = experiment(generator, clustered, 200, 0.0)
        alone = np.arange(len(same.questions), dtype=np.intp)
        alarms.append(
            interval(same.differences, alone, len(alone), seed=index, resamples=RESAMPLES).p <= 0.05
        )
    assert np.mean(alarms) > 0.12


@pytest.mark.parametrize("n", [60, 250, 1_000])
def test_mcnemar_keeps_its_level_computed_without_drawing(n: int) -> None:
    """The level under no difference, summed over every outcome; 30 % of the questions are discordant."""
    level = 0.0
    for discordant in range(1, n + 1):
        weight = stats.binom.pmf(discordant, n, 0.3)
        if weight > 1e-9:
            rejected = sum(mcnemar(k, discordant - k) <= 0.05 for k in range(discordant // 2 + 1))
            level += weight * 2 * stats.binom.cdf(rejected - 1, discordant, 0.5)
    assert 0.025 < level <= 0.05
