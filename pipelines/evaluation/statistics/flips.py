"""The interval and the p that come from swapping the two arms within whole clusters, right also for few.

Where the arms are alike, swapping them in any cluster changes nothing: each cluster's sum of differences is
as likely with either sign (Good, 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 3.2).
The sum with some signs flipped is at least the observed one where the mean over the flipped clusters is at
most 0. So the means of random subsets of the clusters give both: p is the share of them beyond 0, and their
quantiles are the interval of all means that the test does not reject (Hartigan, 1969, "Using Subsample Values
as Typical Values", JASA 64, 1303-1317). The level is exact where the clusters' deviations are symmetric, of
any number of clusters and however uneven; below 6 clusters no p reaches 5 %, and there is no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENUMERATED = 13
"""Clusters up to which all subsets are looked at, 8,192; drawn at random beyond."""
_BLOCK = 2_000_000
"""Drawn clusters at a time: bounds the memory."""


@dataclass(frozen=True, slots=True)
class FlipInterval:
    """The means that the test does not reject, and the two-sided p of the mean being 0; ends are None where
    there are too few clusters."""

    low: float | None
    high: float | None
    p: float


def flip_interval(
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    *,
    seed: int,
    resamples: int,
    confidence: float = 0.95,
) -> FlipInterval:
    """Invert the sign-flip test of a mean over questions, given each cluster's sum and number of questions.

    A subset whose mean is just 0 counts half, as in Lancaster's mid-p (1961, JASA 56, 223-234); the observed
    signs count whole, so that p is never 0 (Phipson and Smyth, 2010).
    """
    alpha = 1 - confidence
    totals, counts = _draw_subsets(sums, sizes, seed, resamples)
    among = len(totals) + 1
    tiny = 1e-12 * max(1.0, float(np.abs(sums).max()))
    below = int(np.count_nonzero(totals < -tiny))
    tied = int(np.count_nonzero(np.abs(totals) <= tiny))
    tail = min(below, len(totals) - tied - below) + tied / 2 + 1
    p = min(1.0, 2 * tail / among)
    rank = math.floor(alpha / 2 * among)
    if not rank:
        return FlipInterval(None, None, p)
    means = np.sort(np.where(np.abs(totals) <= tiny, 0.0, totals) / counts)
    low, high = float(means[rank - 1]), float(means[-rank])
    if p <= alpha and low <= 0 <= high:
        # an end that lies on 0 in a crowd of ties, half of which the test does not count
        if float(sums.sum()) > 0:
            low = float(means[means > 0][0])
        else:
            high = float(means[means < 0][-1])
    return FlipInterval(low, high, p)


def flip_tails(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], at: float, *, seed: int, resamples: int
) -> tuple[float, float]:
    """Compute the one-sided p of the mean being `at` or less, and of its being `at` or more."""
    totals, _ = _draw_subsets(sums - at * sizes, sizes, seed, resamples)
    tiny = 1e-12 * max(1.0, float(np.abs(sums).max()))
    tied = int(np.count_nonzero(np.abs(totals) <= tiny))
    below = int(np.count_nonzero(totals < -tiny))
    among = len(totals) + 1
    return (below + tied / 2 + 1) / among, (len(totals) - below - tied / 2 + 1) / among


def _draw_subsets(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], seed: int, resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up the differences and the questions of subsets: of all but the empty one, or of random ones."""
    clusters = len(sums)
    both = np.stack([sums, sizes], axis=1)
    if clusters <= ENUMERATED:
        numbers = np.arange(1, 2**clusters)[:, None]
        found = ((numbers >> np.arange(clusters)) & 1).astype(np.float64) @ both
        return found[:, 0], found[:, 1]
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // clusters)
    parts = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        bits = np.unpackbits(
            np.frombuffer(generator.bytes(rows * math.ceil(clusters / 8)), dtype=np.uint8).reshape(rows, -1),
            axis=1,
            count=clusters,
        )
        parts.append(bits.astype(np.float64) @ both)
    drawn = np.concatenate(parts)
    drawn = drawn[drawn[:, 1] > 0]
    return drawn[:, 0], drawn[:, 1]


@dataclass(frozen=True, slots=True)
class ClusterError:
    """The standard error of a mean over questions, and the degrees of freedom that it is known with."""

    error: float
    freedom: float


def cluster_error(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> ClusterError:
    """Compute the standard error from the spread between clusters.

    Uneven clusters leave a residual too small, and count as fewer: the variance is divided by what it is
    short of where a cluster's sum varies with its size, and the degrees of freedom are Kish's number of
    clusters, (sum w)^2 / sum w^2, less one. Carter, Schnepel and Steigerwald (2017), "Asymptotic Behavior of
    a t-Test Robust to Cluster Heterogeneity", Review of Economics and Statistics 99, 698-709.
    """
    if len(sums) < 2:
        return ClusterError(math.inf, 0.0)
    share = sizes / sizes.sum()
    square = float((share**2).sum())
    short = 1 + square - 2 * float((share**3).sum()) / square
    residuals = sums - float(sums.sum()) * share
    error = math.sqrt(float((residuals**2).sum()) / short) / float(sizes.sum())
    return ClusterError(error, max(1.0, 1 / square - 1))
