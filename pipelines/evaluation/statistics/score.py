"""The interval of a difference of two paired proportions where few pairs, or none, tell them apart."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import ndtri

_EDGE = 1e-9


def score_interval(gained: float, lost: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval of (gained - lost) / n.

    Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 891-908. Unlike a bootstrap it does not shrink to a
    point where no pair is discordant: it is then z^2 / (n + z^2) to both sides. Counts may be fractions, for
    an effective sample size.
    """
    z = float(ndtri((1 + confidence) / 2))
    found = (gained - lost) / n

    def low(difference: float) -> float:
        return statistic(difference, gained, lost, n) - z

    def high(difference: float) -> float:
        return statistic(difference, gained, lost, n) + z

    return (
        float(brentq(low, -1 + _EDGE, found - _EDGE)) if found > -1 + 2 * _EDGE else -1.0,
        float(brentq(high, found + _EDGE, 1 - _EDGE)) if found < 1 - 2 * _EDGE else 1.0,
    )


def statistic(difference: float, gained: float, lost: float, n: float) -> float:
    """The score statistic of the true difference being `difference`, which lies strictly between -1 and 1."""
    linear = -gained - lost + (2 * n - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    # the likeliest share of lost pairs under that difference
    share = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (gained - lost - n * difference) / math.sqrt(max(variance, 1e-300))
