"""How many questions a difference needs, and the smallest difference that so many questions can show."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

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


def detectable_mean(
    error: float, clusters: int, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Find the smallest difference of two paired means, `error` being the standard error of their difference.

    (t_(1-alpha/2) + t_power) x error, with clusters - 1 degrees of freedom; Miller (2024), "Adding Error Bars
    to Evals", section 5, with t for z. With clusters `error` is the clustered one. None below two clusters.
    """
    if clusters < 2 or not math.isfinite(error):
        return None
    return float((stdtrit(clusters - 1, 1 - alpha / 2) + stdtrit(clusters - 1, power)) * error)


def _count_by_connor(size: float, discordance: float, alpha: float, power: float) -> float:
    spread = math.sqrt(max(0.0, discordance - size * size))
    root = float(ndtri(1 - alpha / 2)) * math.sqrt(discordance) + float(ndtri(power)) * spread
    return (root / size) ** 2
