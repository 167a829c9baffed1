"""Evidence about the mean of bounded scores that is valid whenever one looks: betting, by cluster.

A gambler who bets on the mean being above a threshold cannot expect to win where it is not: the capital is
then a nonnegative supermartingale, and exceeds 1 / alpha at any time with a probability of at most alpha
(Ville 1939). Waudby-Smith and Ramdas (2023), "Estimating means of bounded random variables by betting",
Journal of the Royal Statistical Society B 86, 1-27. The bets are constant fractions, and the capital is the
mean of theirs ("dKelly" there): nothing is tuned on the way, and the order of the scores within the sample
makes no difference to its end.

Clusters are bet on as a whole, in random order: with S the sum of a cluster's n scores, at least `low` each,
and N the largest n, (S - m n) / ((m - low) N) is at least -1, and its mean is at most 0 where the mean over
questions is at most m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRACTIONS: NDArray[np.float64] = np.geomspace(0.02, 0.98, 12)
"""Of the capital, the shares that are bet; as many gamblers, with the same capital each."""
_STEPS = 25
"""Halvings of the range in search of a bound, to a ten-millionth."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoundedScores:
    """Sums of scores by cluster, in the order in which they came.

    `sizes` count the scores of each cluster, 0 where none applies; each score lies within `low` and `high`.
    `largest` is the most scores that a cluster may have, known before the first.
    """

    sums: Array
    sizes: Array
    low: float
    high: float
    largest: int

    @property
    def n(self) -> int:
        return int(self.sizes.sum())

    @property
    def mean(self) -> float | None:
        return float(self.sums.sum()) / self.n if self.n else None


def log_capital(scores: BoundedScores, threshold: float, *, above: bool) -> Array:
    """Compute the logarithm of the capital after each cluster: the evidence that the mean is above the
    threshold, or below it. Where it reaches log(1 / alpha) that is shown at level alpha."""
    return np.asarray(mix_capital(np.cumsum(log_factors(scores, threshold, above=above), axis=0)))


def best_evidence(scores: BoundedScores, threshold: float, *, above: bool) -> float:
    """Return the greatest logarithm of the capital so far, at least 0: what was shown once stays shown."""
    capital = log_capital(scores, threshold, above=above)
    return max(0.0, float(capital.max())) if len(capital) else 0.0


def confidence_bounds(scores: BoundedScores, *, alpha: float = 0.05) -> tuple[float, float]:
    """Compute the confidence sequence's present bounds: the intersection of all intervals so far.

    The true mean lies within all of them with a probability of at least 1 - alpha.
    """
    needed = math.log(2 / alpha)
    if not scores.n:
        return scores.low, scores.high
    return (
        _search_bound(scores, needed, above=True),
        _search_bound(scores, needed, above=False),
    )


def forecast_clusters(scores: BoundedScores, threshold: float, needed: float, *, above: bool) -> float:
    """Forecast how many more clusters the capital needs to reach `needed` (a logarithm), if those to come
    grow it as those that came; infinite where they do not grow it."""
    growth = log_factors(scores, threshold, above=above)
    if not len(growth):
        return math.inf
    capital, mean = growth.sum(axis=0), growth.mean(axis=0)
    if float(mix_capital(capital)) >= needed:
        return 0.0
    if float(mean.max()) <= 0:
        return math.inf
    least, most = 0.0, 1.0
    while float(mix_capital(capital + most * mean)) < needed:
        least, most = most, 2 * most
    for _ in range(_STEPS):
        middle = (least + most) / 2
        least, most = (
            (least, middle) if float(mix_capital(capital + middle * mean)) >= needed else (middle, most)
        )
    return most


def log_factors(scores: BoundedScores, threshold: float, *, above: bool) -> Array:
    """Compute by how much each cluster grows each gambler's capital: a row for each cluster."""
    surplus = scores.sums - threshold * scores.sizes
    room = (threshold - scores.low) if above else (scores.high - threshold)
    won = (surplus if above else -surplus) / (room * scores.largest)
    growth: Array = np.log1p(np.outer(np.maximum(won, -1.0), FRACTIONS))
    return growth


def mix_capital(logs: Array) -> Array:
    """Average the gamblers' capital; all of it in logarithms, the gamblers last."""
    most = logs.max(axis=-1)
    return np.asarray(most + np.log(np.exp(logs - most[..., None]).mean(axis=-1)))


def _search_bound(scores: BoundedScores, needed: float, *, above: bool) -> float:
    """Find the end of the means that are shown to be too low (`above`), or too high: they are an interval,
    since the capital falls with the threshold."""
    out, within = (scores.low, scores.high) if above else (scores.high, scores.low)
    for _ in range(_STEPS):
        middle = (out + within) / 2
        shown = best_evidence(scores, middle, above=above) >= needed
        out, within = (middle, within) if shown else (out, middle)
    return out
