"""How many questions a difference needs, and the smallest difference that so many questions can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit
from scipy.stats import binom

POWER = 0.8


def questions_needed(
    difference: float, discordance: float, *, alpha: float = 0.05, power: float = POWER
) -> int:
    """Count the questions for a difference of two paired proportions, `discordance` the share on which they
    differ.

    n = (z_(1-alpha/2) sqrt(psi) + z_power sqrt(psi - d^2))^2 / d^2, psi the discordance and d the difference:
    Connor (1987), "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43, 207-211. McNemar's exact test needs a few more. 0 < |difference| <= discordance <= 1.
    """
    size = abs(difference)
    if not 0 < size <= discordance <= 1:
        raise ValueError(
            f"a difference of {difference} needs a discordance of at least that, not {discordance}"
        )
    return math.ceil(_count_by_connor(size, discordance, alpha, power))


def detectable_proportion(
    n: float, discordance: float, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Find the smallest difference of two paired proportions that `n` questions show with this power.

    `questions_needed` solved for the difference. Arms that differ by d differ on at least that share of the
    questions, so a discordance below d counts as d. None where not even a difference of 1 would show.
    """
    if n < _count_by_connor(1.0, 1.0, alpha, power):
        return None

    def missing(size: float) -> float:
        return _count_by_connor(size, max(size, discordance), alpha, power) - n

    return float(brentq(missing, 1e-6, 1.0)) if missing(1e-6) > 0 else 1e-6


def detectable_exactly(
    n: int, discordance: float, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Find the smallest difference of two paired proportions that McNemar's exact test shows with this power.

    Summed over every outcome: where few questions are discordant the test rejects more rarely than
    `detectable_proportion`, which knows large samples, takes for granted. None where not even 1 would show.
    """
    most = [_most_lost(discordant, alpha) for discordant in range(n + 1)]

    def missing(size: float) -> float:
        return power - _power_of_mcnemar(size, max(size, discordance), most)

    return float(brentq(missing, 0.0, 1.0)) if missing(0.0) > 0 > missing(1.0) else None


@cache
def _most_lost(discordant: int, alpha: float) -> int:
    """The most of the discordant questions that one side may have won where the exact p is at most `alpha`;
    -1 where it never is."""
    chances = binom.cdf(np.arange(discordant + 1), discordant, 0.5)
    return int(np.searchsorted(chances, alpha / 2 * (1 + 1e-12), side="right")) - 1


def _power_of_mcnemar(size: float, discordance: float, most: Sequence[int]) -> float:
    """How often McNemar's exact test rejects, the candidate being better by `size`."""
    discordant = np.arange(len(most))
    weights = binom.pmf(discordant, len(most) - 1, discordance)
    gained = (discordance + size) / (2 * discordance)
    return float(weights @ (binom.cdf(most, discordant, 1 - gained) + binom.cdf(most, discordant, gained)))


def detectable_mean(
    error: float, clusters: int, *, freedom: float | None = None, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Find the smallest difference of two paired means, `error` being the standard error of their difference.

    (t_(1-alpha/2) + t_power) x error, with `freedom` degrees of freedom, clusters - 1 where it is left out;
    Miller (2024), "Adding Error Bars to Evals", section 5, with t for z. With clusters `error` is the
    clustered one. None below two clusters.
    """
    if clusters < 2 or not math.isfinite(error):
        return None
    return _sum_of_quantiles(freedom or clusters - 1, alpha, power) * error


def detectable_in_clusters(
    effective: float, discordance: float, freedom: float, *, alpha: float = 0.05, power: float = POWER
) -> float:
    """Find the smallest difference of two paired proportions whose questions are in clusters.

    The d at which d = (t_(1-alpha/2) + t_power) sqrt((psi - d^2) / n), psi the discordance, at least d, and
    n the number of independent questions that tell as much. Few clusters need t, for which
    `detectable_proportion` has no place.
    """
    factor = _sum_of_quantiles(freedom, alpha, power)

    def missing(size: float) -> float:
        return factor * math.sqrt((max(size, discordance) - size * size) / effective) - size

    return float(brentq(missing, 1e-9, 1.0))


def _sum_of_quantiles(freedom: float, alpha: float, power: float) -> float:
    return float(stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, power))


def _count_by_connor(size: float, discordance: float, alpha: float, power: float) -> float:
    spread = math.sqrt(max(0.0, discordance - size * size))
    root = float(ndtri(1 - alpha / 2)) * math.sqrt(discordance) + float(ndtri(power)) * spread
    return (root / size) ** 2
