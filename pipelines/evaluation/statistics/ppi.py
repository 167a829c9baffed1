"""A mean of people's labels, where few are labelled and all are scored: prediction-powered inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from pipelines.evaluation.statistics.paired import number_clusters, sum_by_cluster

LEAST_LABELS = 30
"""Labels below which no estimate is made."""


@dataclass(frozen=True, slots=True)
class LabelledMean:
    """The mean of the labels that all things would get, with its 95 % interval.

    `labelled` of `n` have a label. `weight` is how far the scores were trusted: 0, not at all. `scored` is
    the mean of the scores alone.
    """

    value: float
    low: float
    high: float
    n: int
    labelled: int
    weight: float
    scored: float


def label_powered_mean(
    scores: Sequence[float],
    labels: Sequence[float | None],
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
) -> LabelledMean | None:
    """Estimate a mean of labels from scores of all and labels of some, drawn at random.

    The mean label of the labelled, corrected by how much higher or lower the others score: Angelopoulos,
    Bates, Fannjiang, Jordan and Zrnic (2023), "Prediction-powered inference", Science 382, 669-674, with the
    weight of the scores that makes the variance least, Angelopoulos, Duchi and Zrnic (2023), "PPI++", arXiv
    2311.01453: bad scores then cost nothing. The variance is that of sums by cluster, so that labelled and
    other things of one cluster may hang together; t has as many degrees of freedom as there are labelled
    clusters, less one.

    Args:
        scores: Of every thing.
        labels: Of some; None for the others.
        clusters: The name of each thing's cluster; "" stands alone.
        confidence: Of the interval.

    Returns:
        None below `LEAST_LABELS` labels, or where they are all of one cluster.
    """
    scored = np.asarray(scores, dtype=np.float64)
    known = np.array([label is not None for label in labels], dtype=bool)
    told = np.array([label if label is not None else 0.0 for label in labels], dtype=np.float64)
    count = int(known.sum())
    if count < LEAST_LABELS:
        return None
    cluster, total = number_clusters(clusters)
    groups = len(set(cluster[known].tolist()))
    if groups < 2:
        return None
    rest = len(scored) - count
    weight = _choose_weight(scored, told, known, rest)
    corrected = told[known] - weight * scored[known]
    value = float(corrected.mean()) + (weight * float(scored[~known].mean()) if rest else 0.0)
    influence = np.zeros(len(scored))
    influence[known] = (corrected - corrected.mean()) / count
    if rest:
        influence[~known] = weight * (scored[~known] - scored[~known].mean()) / rest
    sums, _ = sum_by_cluster(influence, cluster, total)
    # half a mark more to either side: few marks that all agree do not show that all others would, as for
    # discordant pairs in Agresti and Min (2005), Statistics in Medicine 24, 729-740
    error = math.sqrt(groups / (groups - 1) * (float((sums**2).sum()) + 1 / count**2))
    half = float(stdtrit(groups - 1, (1 + confidence) / 2)) * error
    return LabelledMean(
        value=value,
        low=value - half,
        high=value + half,
        n=len(scored),
        labelled=count,
        weight=weight,
        scored=float(scored.mean()),
    )


def _choose_weight(
    scored: NDArray[np.float64], told: NDArray[np.float64], known: NDArray[np.bool_], rest: int
) -> float:
    """Choose the scores' weight, between 0 and 1: Cov(label, score) / ((1 + n / N) Var(score))."""
    variance = float(np.var(scored, ddof=1)) if len(scored) > 1 else 0.0
    if not rest or variance <= 0:
        return 0.0
    together = float(np.cov(told[known], scored[known], ddof=1)[0, 1])
    return min(1.0, max(0.0, together / ((1 + int(known.sum()) / rest) * variance)))
