"""The interval of a mean difference between two systems on the same queries: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000


class Difference(NamedTuple):
    """Mean of (system - baseline) over the queries, and the bounds of its interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    system: Sequence[float],
    baseline: Sequence[float],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Percentile bootstrap over queries (Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    chapter 13), paired as in Sakai 2006, "Evaluating evaluation metrics based on the bootstrap": each
    resample draws queries, and takes both systems' values of the query that it drew.
    """
    differences = np.asarray(system, np.float64) - np.asarray(baseline, np.float64)
    drawn = np.random.default_rng(seed).integers(len(differences), size=(resamples, len(differences)))
    means = differences[drawn].mean(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Difference(float(differences.mean()), float(low), float(high))
