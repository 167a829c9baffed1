"""Percentiles with intervals that assume nothing of the distribution, only where the sample carries them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom


@dataclass(frozen=True, slots=True)
class Percentile:
    """`value` with its interval; all None where `n` is below `needed`: "insufficient"."""

    level: float
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    n: int
    needed: int

    @property
    def insufficient(self) -> bool:
        return self.value is None

    def __str__(self) -> str:
        if self.value is None:
            return f"insufficient (n = {self.n}, needs {self.needed})"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def samples_needed(level: float, confidence: float = 0.95) -> int:
    """The samples that a two-sided interval of this percentile needs: 72 for 0.95, 368 for 0.99.

    The sample's ends must reach past the percentile: max(level, 1 - level)^n <= (1 - confidence) / 2.
    """
    if not 0 < level < 1:
        raise ValueError(f"a percentile lies between 0 and 1, {level} does not")
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(level, 1 - level)))


def percentile(values: Sequence[float], level: float, *, confidence: float = 0.95) -> Percentile:
    """The percentile (linear between order statistics, numpy's default) and its order-statistic interval.

    The interval [x_(l), x_(u)] covers with at least `confidence`, tails alike, because the number of values
    below the percentile is binomial: David and Nagaraja (2003), "Order Statistics", 7.1.
    """
    needed = samples_needed(level, confidence)
    n = len(values)
    if n < needed:
        return Percentile(level, None, None, None, confidence, n, needed)
    tail = (1 - confidence) / 2
    # x_(l) lies above the percentile where at most l - 1 values lie below it; ppf gives the first count whose
    # cumulative probability reaches its argument, so one less does not
    low = max(1, int(binom.ppf(tail, n, level)))
    high = min(n, int(binom.ppf(1 - tail, n, level)) + 1)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return Percentile(
        level=level,
        value=float(np.quantile(ordered, level)),
        low=float(ordered[low - 1]),
        high=float(ordered[high - 1]),
        confidence=confidence,
        n=n,
        needed=needed,
    )
