"""The interval of one arm's rate: truncations, abstentions, valid citations."""

from __future__ import annotations

from scipy.stats import binomtest


def proportion_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval (1927), JASA 22, 209-212; None where nothing was counted.

    For questions without clusters; with clusters `mean_interval` of zeros and ones is the honest one.
    """
    if n == 0:
        return None
    bounds = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(bounds.low), float(bounds.high)
