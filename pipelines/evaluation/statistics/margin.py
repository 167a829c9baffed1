"""Two one-sided tests of a paired difference against a margin, and the questions that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from pipelines.evaluation.statistics.bootstrap import RESAMPLES, guarded_interval, interval, resample_means
from pipelines.evaluation.statistics.comparison import (
    FEW,
    LEAST_CLUSTERS,
    count_telling_clusters,
    design_effect,
)
from pipelines.evaluation.statistics.flips import flip_tails
from pipelines.evaluation.statistics.intervals import score_statistic
from pipelines.evaluation.statistics.paired import Paired, count_discordant, sum_by_cluster
from pipelines.evaluation.statistics.power import POWER

MOST_QUESTIONS = 1_000_000
"""What would need more is not worth a number."""


@dataclass(frozen=True, slots=True)
class MarginTests:
    """One-sided p values of a paired difference: `below` of its being `-margin` or less, `above` of its being
    `margin` or more. `error` is its standard error, with clusters; None where the sample does not tell it."""

    below: float
    above: float
    error: float | None


def compare_with_margin(
    paired: Paired, margin: float, *, seed: int = 0, resamples: int = RESAMPLES, amounts: bool = False
) -> MarginTests:
    """Test a difference against a margin to both sides: Schuirmann (1987), "A comparison of the two one-sided
    tests procedure and the power approach", Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.

    The p are those at which the interval of `compare` ends at the margin: the greater of the bootstrap's over
    clusters and of swapping the arms by cluster. Of right and wrong answers to independent questions it is
    the bootstrap's, and where fewer than `FEW` tell the arms apart, or hardly a cluster does, that of Tango's
    score statistic.
    """
    values = paired.differences
    discordant = None if amounts else count_discordant(paired)
    independent = discordant is not None and not paired.clustered
    spread = (interval if independent else guarded_interval)(
        values, paired.cluster, paired.clusters, seed=seed, resamples=resamples
    )
    n = len(values)
    few = count_telling_clusters(paired) < (FEW if independent else LEAST_CLUSTERS) or spread.low is None
    if paired.clusters > 1 and discordant is not None and few:
        told = discordant.gained + discordant.lost
        effective = n / design_effect(paired, spread.error) if told else float(paired.clusters)
        gained, lost = discordant.gained * effective / n, discordant.lost * effective / n
        lower = score_statistic(_inside(-margin), gained, lost, effective)
        upper = score_statistic(_inside(margin), gained, lost, effective)
        share = (told + 1) / (n + 2)  # half a pair more in each cell, as for the smallest detectable
        error = math.sqrt(max(share - spread.value**2, share / (n + 2)) / effective)
        if told and not independent:
            freedom = spread.freedom or 1.0
            return MarginTests(float(stdtr(freedom, -lower)), float(stdtr(freedom, upper)), error)
        return MarginTests(float(ndtr(-lower)), float(ndtr(upper)), error)
    if spread.low is None:
        return MarginTests(1.0, 1.0, None)
    sums, sizes = sum_by_cluster(values, paired.cluster, paired.clusters)
    means = resample_means(sums, sizes, seed=seed, resamples=resamples)
    below = int(np.count_nonzero(means <= -margin))
    above = int(np.count_nonzero(means >= margin))
    tails = (
        _tail((1 + below) / (resamples + 1), paired.clusters),
        _tail((1 + above) / (resamples + 1), paired.clusters),
    )
    if not independent:
        low, _ = flip_tails(sums, sizes, -margin, seed=seed, resamples=resamples)
        _, high = flip_tails(sums, sizes, margin, seed=seed, resamples=resamples)
        tails = max(tails[0], low), max(tails[1], high)
    return MarginTests(*tails, spread.error)


def more_questions(
    error: float, n: int, distance: float, *, alpha: float = 0.025, power: float = POWER
) -> int | None:
    """Count how many more questions bring a difference that lies `distance` from a margin clear of it.

    The standard error falls with the root of the questions: ((z_(1-alpha) + z_power) x error / distance)^2
    times those there are, one-sided; Blackwelder (1982), "Proving the null hypothesis in clinical trials",
    Controlled Clinical Trials 3, 345-353. None where that is more than `MOST_QUESTIONS`.
    """
    if distance <= 0:
        return None
    all_questions = n * ((float(ndtri(1 - alpha)) + float(ndtri(power))) * error / distance) ** 2
    return max(1, math.ceil(all_questions - n)) if all_questions - n <= MOST_QUESTIONS else None


def _inside(difference: float) -> float:
    """Keep a margin where the score statistic is known: strictly between -1 and 1."""
    return max(-1 + 1e-9, min(1 - 1e-9, difference))


def _tail(share: float, clusters: int) -> float:
    """Undo the widening of the bootstrap's interval, on one side."""
    wide = math.sqrt(clusters / (clusters - 1))
    return float(stdtr(clusters - 1, ndtri(min(share, 1 - 1e-12)) / wide))
