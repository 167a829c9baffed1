"""The interval of one arm's share: right answers, truncations, valid citations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import binomtest

from pipelines.evaluation.statistics.paired import cluster_totals, numbered
from services.core.errors import InvalidRequest


def proportion_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval (1927), JASA 22, 209-212; None where nothing was counted.

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
    """The interval of the mean of scores in [0, 1], one per question; `clusters` as in `mean_interval`.

    Wilson's, with t for z and the effective sample size for n, as Dean and Pagano (2015), "Evaluating
    Confidence Interval Methods for Binomial Proportions in Clustered Surveys", Journal of Survey Statistics
    and Methodology 3, 484-503, recommend: the n at which a share's variance p (1 - p) / n is the variance
    between clusters, or that of independent questions where it is greater. It cannot leave [0, 1]. Where all
    scores are alike each cluster counts as one question. None below two clusters.
    """
    each = np.asarray(values, dtype=np.float64)
    if len(each) and not (each.min() >= 0 and each.max() <= 1):
        raise InvalidRequest("a share is a mean of scores between 0 and 1: give such scores")
    cluster, count = numbered([""] * len(each) if clusters is None else clusters)
    if count < 2:
        return None
    share = float(each.mean())
    effective = _effective(each, share, cluster, count)
    square = float(stdtrit(count - 1, (1 + confidence) / 2)) ** 2 / effective
    middle = share + square / 2
    half = math.sqrt(share * (1 - share) * square + square * square / 4)
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def _effective(values: NDArray[np.float64], share: float, cluster: NDArray[np.intp], count: int) -> float:
    """How many independent zeros and ones say as much of the share."""
    n = len(values)
    sums, sizes = cluster_totals(values, cluster, count)
    between = count / (count - 1) * float(((sums - share * sizes) ** 2).sum()) / n**2
    alone = float(np.var(values, ddof=1)) / n
    variance = max(between, alone)
    return share * (1 - share) / variance if variance > 1e-15 else float(count)
