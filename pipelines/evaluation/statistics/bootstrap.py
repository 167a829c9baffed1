"""The interval of a mean, by resampling clusters, and the tests that go with it.

Questions that share a passage or a document stand or fall together, so whole clusters are drawn with
replacement. Without clusters every question is one. The interval is the expanded percentile interval of
Hesterberg (2015), "What Teachers Should Know About the Bootstrap", The American Statistician 69, section
5.3: the plain percentile interval is too narrow by sqrt((m-1)/m) and by t against z for m clusters, and its
quantiles are moved out by just that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

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
    `error` is the standard error.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    p: float
    error: float
    n: int
    clusters: int


def mean_interval(
    values: Sequence[float] | NDArray[np.float64],
    clusters: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Compute the interval of a mean of one value per question; `clusters` names each question's, "" for one
    of its own."""
    scores = np.asarray(values, dtype=np.float64)
    if not len(scores):
        raise InvalidRequest("no value to take a mean of: score at least one question")
    names = [""] * len(scores) if clusters is None else clusters
    if len(names) != len(scores):
        raise InvalidRequest(f"{len(scores)} values have {len(names)} clusters: give each value one")
    cluster, count = number_clusters(names)
    return interval(scores, cluster, count, seed=seed, resamples=resamples, confidence=confidence)


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


def sign_flip(
    values: NDArray[np.float64],
    cluster: NDArray[np.intp],
    clusters: int,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> float:
    """Compute the two-sided p of a permutation test that swaps the two arms within whole clusters.

    Where the arms are alike, swapping them in any cluster changes nothing: the sum of the differences is as
    likely with either sign of each cluster (Good, 2005, "Permutation, Parametric and Bootstrap Tests of
    Hypotheses", 3.2). Drawn at random, with the observed one counted in, so that p is never 0 (Phipson and
    Smyth, 2010). With binary scores and no clusters this is McNemar's exact test.
    """
    sums, _ = sum_by_cluster(values, cluster, clusters)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    generator = np.random.default_rng(seed)
    observed = abs(float(sums.sum())) - 1e-9
    block = max(1, _BLOCK // len(sums))
    as_large = 0
    for start in range(0, resamples, block):
        size = (min(block, resamples - start), len(sums))
        signs = generator.integers(2, size=size, dtype=np.int8)
        as_large += int(np.count_nonzero(np.abs((2.0 * signs - 1.0) @ sums) >= observed))
    return (1 + as_large) / (resamples + 1)


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
