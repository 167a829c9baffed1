"""The intervals of a share, of a difference of two paired shares, and of a percentile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit
from scipy.stats import binom, binomtest

from pipelines.evaluation.statistics.flips import cluster_error
from pipelines.evaluation.statistics.paired import number_clusters, sum_by_cluster
from services.core.errors import InvalidRequest

_EDGE = 1e-9
_FLOOR = 0.5
"""The variance between few clusters may come out small by chance: it is at least so much of that without."""


def proportion_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Compute Wilson's score interval (1927), JASA 22, 209-212; None where nothing was counted.

    For questions without clusters; with clusters, or for graded scores, `share_interval` is the honest one.
    """
    if n == 0:
        return None
    bounds = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(bounds.low), float(bounds.high)


def share_interval(
    values: Sequence[float] | NDArray[np.float64],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Compute the interval of the mean of scores in [0, 1], one per question; `clusters` as in
    `mean_interval`.

    Wilson's, with t for z and the effective sample size for n, as Dean and Pagano (2015), "Evaluating
    Confidence Interval Methods for Binomial Proportions in Clustered Surveys", Journal of Survey Statistics
    and Methodology 3, 484-503, recommend: the n at which a share's variance p (1 - p) / n is the variance
    between clusters, or half of that of independent questions where it is greater. It cannot leave
    [0, 1]. Where all scores are alike each cluster counts as one question. None below two clusters.
    """
    scores = np.asarray(values, dtype=np.float64)
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        raise InvalidRequest("a share is a mean of scores between 0 and 1: give such scores")
    cluster, count = number_clusters([""] * len(scores) if clusters is None else clusters)
    if count < 2:
        return None
    share = float(scores.mean())
    effective = _effective_size(scores, share, cluster, count)
    square = float(stdtrit(count - 1, (1 + confidence) / 2)) ** 2 / effective
    middle = share + square / 2
    half = math.sqrt(share * (1 - share) * square + square * square / 4)
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def _effective_size(
    values: NDArray[np.float64], share: float, cluster: NDArray[np.intp], count: int
) -> float:
    """Count how many independent zeros and ones say as much about the share."""
    between = cluster_error(*sum_by_cluster(values, cluster, count)).error ** 2
    alone = float(np.var(values, ddof=1)) / len(values)
    variance = max(between, _FLOOR * alone)
    return share * (1 - share) / variance if variance > 1e-15 else float(count)


@dataclass(frozen=True, slots=True)
class Percentile:
    """Holds a `value` with its interval; all None where `n` is below `needed`: "insufficient".

    `n` counts clusters where there are some. `at_least`: `value` is a lower bound, since values that are only
    known to be at least so great are among those that it is made of; `high` is None where the interval
    reaches such values.
    """

    level: float
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    n: int
    needed: int
    at_least: bool = False

    @property
    def insufficient(self) -> bool:
        return self.value is None

    def __str__(self) -> str:
        if self.value is None:
            return f"insufficient (n = {self.n}, needs {self.needed})"
        if self.high is None:
            return f"{'≥ ' if self.at_least else ''}{self.value:.4g} [{self.low:.4g}, ...]"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def samples_needed(level: float, confidence: float = 0.95) -> int:
    """Count the samples that a two-sided interval of this percentile needs: 72 for 0.95, 368 for 0.99.

    The sample's ends must reach past the percentile: max(level, 1 - level)^n <= (1 - confidence) / 2.
    """
    if not 0 < level < 1:
        raise ValueError(f"a percentile lies between 0 and 1, {level} does not")
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(level, 1 - level)))


def percentile(
    values: Sequence[float],
    level: float,
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    censored_from: float = math.inf,
) -> Percentile:
    """Compute the percentile (linear between order statistics, numpy's default) and its order-statistic
    interval.

    The interval [x_(l), x_(u)] covers with at least `confidence`, tails about alike, because the number of
    values below the percentile is binomial: David and Nagaraja (2003), "Order Statistics", 7.1. With clusters
    (repeats of a question, questions of a document) the sample counts as the number of independent values
    that say as much about the share below the percentile, at least the number of clusters: Woodruff (1952),
    JASA 47, 635-646, with `share_interval`'s effective size, and with t for few clusters: Korn and Graubard
    (1998), Survey Methodology 24, 193-201. What is needed is then counted in clusters.
    Values from `censored_from` on may be lower bounds: see `Percentile`.
    """
    needed = samples_needed(level, confidence)
    n = len(values)
    cluster, count = number_clusters([""] * n if clusters is None else clusters)
    if count < needed:
        return Percentile(level, None, None, None, confidence, count, needed)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    value = float(np.quantile(ordered, level))
    tail = (1 - confidence) / 2
    effective = n
    if count < n:
        below = (np.asarray(values, dtype=np.float64) <= value).astype(np.float64)
        few = float(stdtrit(n - 1, tail) / stdtrit(count - 1, tail)) ** 2
        size = few * _effective_size(below, float(below.mean()), cluster, count)
        effective = int(min(n, max(count, size)))
    # x_(l) lies above the percentile where at most l - 1 values lie below it; ppf gives the first count whose
    # cumulative probability reaches its argument, so one less does not
    first = max(1, int(binom.ppf(tail, effective, level)))
    last = min(effective, int(binom.ppf(1 - tail, effective, level)) + 1)
    if count == n and binom.cdf(last - 1, n, level) - binom.cdf(first, n, level) >= confidence:
        first += 1  # one end can be spared: with few values beyond the other they cover too often
    most = float(ordered[min(n, math.ceil(last * n / effective)) - 1])
    return Percentile(
        level=level,
        value=value,
        low=float(ordered[max(0, math.floor((first - 1) * n / effective))]),
        high=most if most < censored_from else None,
        confidence=confidence,
        n=count if count < n else n,
        needed=needed,
        # the value lies between two order statistics: it is known where the upper one is
        at_least=float(ordered[math.ceil(level * (n - 1))]) >= censored_from,
    )


def score_interval(
    gained: float, lost: float, n: float, *, confidence: float = 0.95, quantile: float | None = None
) -> tuple[float, float]:
    """Compute Tango's score interval of (gained - lost) / n.

    Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 891-908. Unlike a bootstrap it does not shrink to a
    point where no pair is discordant: it is then z^2 / (n + z^2) to both sides. Counts may be fractions, for
    an effective sample size. `quantile` is taken instead of the normal one, say Student's t.
    """
    z = quantile or float(ndtri((1 + confidence) / 2))
    observed = (gained - lost) / n

    def low(difference: float) -> float:
        return score_statistic(difference, gained, lost, n) - z

    def high(difference: float) -> float:
        return score_statistic(difference, gained, lost, n) + z

    return (
        float(brentq(low, -1 + _EDGE, observed - _EDGE)) if observed > -1 + 2 * _EDGE else -1.0,
        float(brentq(high, observed + _EDGE, 1 - _EDGE)) if observed < 1 - 2 * _EDGE else 1.0,
    )


def score_statistic(difference: float, gained: float, lost: float, n: float) -> float:
    """Compute the score statistic of the true difference being `difference`, which lies strictly between -1
    and 1."""
    linear = -gained - lost + (2 * n - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    # the likeliest share of lost pairs under that difference
    share = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (gained - lost - n * difference) / math.sqrt(max(variance, 1e-300))
