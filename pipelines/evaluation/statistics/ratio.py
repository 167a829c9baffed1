"""The interval of a ratio of two paired means, such as what one more right answer costs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from pipelines.evaluation.statistics.flips import cluster_error
from pipelines.evaluation.statistics.paired import sum_by_cluster


def ratio_interval(
    over: NDArray[np.float64],
    under: NDArray[np.float64],
    cluster: NDArray[np.intp],
    clusters: int,
    *,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Compute Fieller's interval of mean(over) / mean(under), with errors by cluster.

    It is all r of which the mean of over - r * under is not told from 0: Fieller (1954), "Some Problems in
    Interval Estimation", JRSS B 16, 175-185. None where the mean of `under` itself is not told from 0: the
    set of such r then has no end.
    """
    if clusters < 2:
        return None
    sums, sizes = sum_by_cluster(over, cluster, clusters)
    known = cluster_error(sums, sizes)
    quantile = float(stdtrit(known.freedom, (1 + confidence) / 2)) ** 2
    a, b = float(over.mean()), float(under.mean())
    v_a, v_b, v_ab = _covariances(over, under, cluster, clusters)
    square, linear, constant = b * b - quantile * v_b, a * b - quantile * v_ab, a * a - quantile * v_a
    if square <= 0:
        return None
    root = math.sqrt(max(0.0, linear * linear - square * constant))
    return (linear - root) / square, (linear + root) / square


def _covariances(
    over: NDArray[np.float64], under: NDArray[np.float64], cluster: NDArray[np.intp], clusters: int
) -> tuple[float, float, float]:
    """The variances of both means, and their covariance, by cluster."""

    def variance(values: NDArray[np.float64]) -> float:
        return cluster_error(*sum_by_cluster(values, cluster, clusters)).error ** 2

    v_over, v_under = variance(over), variance(under)
    return v_over, v_under, (variance(over + under) - v_over - v_under) / 2
