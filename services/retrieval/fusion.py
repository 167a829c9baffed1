"""One order out of several: fusion of two sides, and diversity. All of it is pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev

import numpy as np

from services.retrieval.backend import Vector

Scores = Mapping[str, float]


def fuse_ranks(sides: Sequence[Sequence[str]], *, k: int) -> dict[str, float]:
    """Sum 1 / (k + rank), ranks from 1, over the sides that found it (Cormack et al., 2009).

    `sides` are ids, best first. A large `k` lets agreement of the sides count, a small one the top ranks.
    """
    fused: dict[str, float] = {}
    for side in sides:
        for rank, id_ in enumerate(side, start=1):
            fused[id_] = fused.get(id_, 0.0) + 1.0 / (k + rank)
    return fused


def fuse_scores(dense: Scores, sparse: Scores, *, dense_weight: float) -> dict[str, float]:
    """Add up `dense_weight` of the standardised dense score, and the rest of the sparse one.

    Both are standardised over the same candidates, those of either side. A candidate that the sparse side
    did not find shares no term with the query or few: its score is 0. One without a dense score gets the
    lowest of them.
    """
    ids = list(dict.fromkeys([*dense, *sparse]))
    lowest = min(dense.values(), default=0.0)
    by_vector = standardise([dense.get(id_, lowest) for id_ in ids])
    by_terms = standardise([sparse.get(id_, 0.0) for id_ in ids])
    return {
        id_: dense_weight * vector_score + (1 - dense_weight) * term_score
        for id_, vector_score, term_score in zip(ids, by_vector, by_terms, strict=True)
    }


def standardise(scores: Sequence[float]) -> list[float]:
    """Shift and scale to mean 0 and standard deviation 1; all 0 where the scores do not differ."""
    if not scores:
        return []
    mean, deviation = fmean(scores), pstdev(scores)
    return [(score - mean) / deviation if deviation > 1e-12 else 0.0 for score in scores]


def rescale(scores: Scores, *, low: float, high: float) -> dict[str, float]:
    """Map linearly onto [low, high]; all are `high` where they do not differ."""
    least, most = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    if most - least < 1e-12:
        return dict.fromkeys(scores, high)
    return {id_: low + (high - low) * (score - least) / (most - least) for id_, score in scores.items()}


def select_diverse(relevance: Scores, vectors: Mapping[str, Vector], *, k: int, weight: float) -> list[str]:
    """Choose `k` candidates by maximal marginal relevance (Carbonell and Goldstein, 1998), in that order.

    They are relevant, and unlike what was chosen before: the next one is always that with the greatest
    `weight` * relevance - (1 - `weight`) * its greatest cosine with one chosen before. `weight` 1 orders by
    relevance, 0 by difference alone. `vectors` have length one; a candidate without one is like nothing.
    """
    ids = sorted(relevance, key=lambda id_: -relevance[id_])
    if not ids:
        return []
    dim = max((len(vector) for vector in vectors.values()), default=1)
    nothing = np.zeros(dim, np.float32)
    matrix = np.stack([vectors.get(id_, nothing) for id_ in ids])
    gain = weight * np.array([relevance[id_] for id_ in ids])
    likeness = np.full(len(ids), -np.inf)
    left = np.ones(len(ids), bool)
    chosen: list[str] = []
    while len(chosen) < min(k, len(ids)):
        penalty = likeness if chosen else np.zeros(len(ids))
        at = int(np.argmax(np.where(left, gain - (1 - weight) * penalty, -np.inf)))
        chosen.append(ids[at])
        left[at] = False
        likeness = np.maximum(likeness, matrix @ matrix[at])
    return chosen
