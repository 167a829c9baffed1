"""The interval of a mean, by resampling clusters, guarded by the test that flips their signs.

Questions that share a passage or a document stand or fall together, so whole clusters are drawn with
replacement. Without clusters every question is one. The interval is the expanded percentile interval of
Hesterberg (2015), "What Teachers Should Know About the Bootstrap", The American Statistician 69, section
5.3: the plain percentile interval is too narrow by sqrt((m-1)/m) and by t against z for m clusters, and its
quantiles are moved out by just that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pipelines.evaluation.statistics.flips import ENUMERATED, ClusterError, cluster_error, flip_interval
from pipelines.evaluation.statistics.paired import number_clusters, sum_by_cluster
from services.core.errors import InvalidRequest

RESAMPLES = 10_000
_BLOCK = 2_000_000
"""Drawn clusters at a time: bounds the memory of a large comparison to some 50 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval and the two-sided p of the mean being 0.

    `p <= 1 - confidence` exactly where the interval leaves 0 out. It lies within the values' own range. `low`
    and `high` are None where so few clusters (3 or fewer at 95 %) were seen that the resamples do not reach
    out to the ends, and where all clusters have the same mean: nothing is then known of their spread.
    `error` is the standard error, known with so many degrees of `freedom`; clusters - 1 where it is None.
    `test` names the one that `p` is from.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    p: float
    error: float
    n: int
    clusters: int
    freedom: float | None = None
    test: Literal["bootstrap", "sign-flip"] = "bootstrap"


def mean_interval(
    values: Sequence[float] | NDArray[np.float64],
    clusters: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Compute the interval of a mean of one value per question, as `guarded_interval` does; `clusters` names
    each question's, "" for one of its own."""
    scores = np.asarray(values, dtype=np.float64)
    if not len(scores):
        raise InvalidRequest("no value to take a mean of: score at least one question")
    names = [""] * len(scores) if clusters is None else clusters
    if len(names) != len(scores):
        raise InvalidRequest(f"{len(scores)} values have {len(names)} clusters: give each value one")
    cluster, count = number_clusters(names)
    return guarded_interval(scores, cluster, count, seed=seed, resamples=resamples, confidence=confidence)


def guarded_interval(
    values: NDArray[np.float64],
    cluster: NDArray[np.intp],
    clusters: int,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Compute the wider of the bootstrap's interval and the sign-flip test's, with the greater p.

    The bootstrap trusts few or uneven clusters too much, the test takes deviations for symmetric; each has
    what the other lacks. Below 6 clusters the test has no interval, and no p under 5 %: 0 is then in it.
    """
    spread = interval(values, cluster, clusters, seed=seed, resamples=resamples, confidence=confidence)
    if clusters < 2:
        return spread
    sums, sizes = sum_by_cluster(values, cluster, clusters)
    flips = flip_interval(sums, sizes, seed=seed, resamples=resamples, confidence=confidence)
    p = max(spread.p, flips.p)
    low, high = spread.low, spread.high
    if low is not None and high is not None and flips.low is not None and flips.high is not None:
        low, high = min(low, flips.low), max(high, flips.high)
    elif low is not None and high is not None and p > 1 - confidence:
        low, high = min(low, 0.0), max(high, 0.0)
    known = cluster_error(sums, sizes)
    if spread.p <= _narrow_level(1 / (resamples + 1), clusters):
        # no resample came as far as 0, and how far out it is they do not tell
        p = flips.p
        if clusters > ENUMERATED and p < 2.5 / resamples:  # nor did a flip
            p = min(p, _tail_of_t(spread.value, known, clusters))
    return replace(
        spread,
        low=low,
        high=high,
        p=p,
        error=known.error,
        freedom=known.freedom,
        test="sign-flip" if flips.p >= spread.p else "bootstrap",
    )


def _tail_of_t(value: float, known: ClusterError, clusters: int) -> float:
    """Student's two-sided p, at least that of all clusters having one sign by chance."""
    least = 2.0 ** (1 - clusters)
    return max(least, 2 * float(stdtr(known.freedom, -abs(value) / known.error))) if known.error else least


def interval(
    values: NDArray[np.float64],
    cluster: NDArray[np.intp],
    clusters: int,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Do the same as `mean_interval`, with clusters already numbered from 0."""
    value = float(values.mean())
    sums, sizes = sum_by_cluster(values, cluster, clusters)
    if clusters < 2:
        return Interval(value, None, None, confidence, 1.0, math.inf, len(values), clusters)
    means = np.sort(resample_means(sums, sizes, seed=seed, resamples=resamples))
    tail = _widen_level(1 - confidence, clusters)
    # the k-th smallest of the resampled means; with this k the p below agrees with the interval exactly
    rank = 0 if np.allclose(sums, value * sizes) else math.floor(tail * (resamples + 1))
    # spread over half a step to both sides, they reach beyond what any sample can give
    least, most = float(values.min()), float(values.max())
    below = int(np.searchsorted(means, 0.0, side="right"))
    above = resamples - int(np.searchsorted(means, 0.0, side="left"))
    share = min(1.0 + below, 1.0 + above) / (resamples + 1)
    return Interval(
        value=value,
        low=max(least, float(means[rank - 1])) if rank else None,
        high=min(most, float(means[resamples - rank])) if rank else None,
        confidence=confidence,
        p=_narrow_level(share, clusters),
        error=float(means.std(ddof=1)) * math.sqrt(clusters / (clusters - 1)),
        n=len(values),
        clusters=clusters,
    )


def resample_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], *, seed: int, resamples: int
) -> NDArray[np.float64]:
    """Compute the mean over questions of each of `resamples` draws of as many clusters as there are.

    Sums of zeros and ones fall on whole numbers, and a good share of them on 0 itself. Each is spread evenly
    over half a step to both sides (a smoothed bootstrap), so that a tie counts half, as in Lancaster's mid-p
    (1961, JASA 56, 223-234); counted whole, the level falls well short of the one asked for.
    """
    generator = np.random.default_rng(seed)
    clusters = len(sums)
    block = max(1, _BLOCK // clusters)
    alike = bool((sizes == sizes[0]).all())
    whole = bool(sums.any() and (sums == np.round(sums)).all())
    means = np.empty(resamples)
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        draws = generator.integers(clusters, size=(stop - start, clusters), dtype=np.int32)
        total = sums[draws].sum(axis=1)
        if whole:
            total += generator.uniform(-0.5, 0.5, size=stop - start)
        means[start:stop] = total / (sizes[0] * clusters if alike else sizes[draws].sum(axis=1))
    return means


def _widen_level(alpha: float, clusters: int) -> float:
    """Widen the interval: the share of resampled means to leave out on each side for a level of `alpha`."""
    wide = math.sqrt(clusters / (clusters - 1))
    return float(ndtr(wide * stdtrit(clusters - 1, alpha / 2)))


def _narrow_level(share: float, clusters: int) -> float:
    """Undo `_widen_level`: the level at which the interval just reaches 0."""
    if share >= 0.5:
        return 1.0
    wide = math.sqrt(clusters / (clusters - 1))
    return float(2 * stdtr(clusters - 1, ndtri(share) / wide))
