"""One order from two: reciprocal rank fusion, and a weighted sum of standardised scores. All pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev

Scores = Mapping[str, float]


def reciprocal_rank(sides: Sequence[Sequence[str]], *, k: int) -> dict[str, float]:
    """The sum of 1 / (k + rank), ranks from 1, over the sides that found it (Cormack et al., 2009).

    `sides` are ids, best first. A large `k` lets agreement of the sides count, a small one the top ranks.
    """
    fused: dict[str, float] = {}
    for side in sides:
        for rank, id_ in enumerate(side, start=1):
            fused[id_] = fused.get(id_, 0.0) + 1.0 / (k + rank)
    return fused


def weighted(dense: Scores, sparse: Scores, *, dense_weight: float) -> dict[str, float]:
    """`dense_weight` of the standardised dense score, and the rest of the sparse one.

    Both are standardised over the same candidates, those of either side. A candidate that the sparse side
    did not find shares no term with the query or few: its score is 0. One without a dense score gets the
    lowest of them.
    """
    ids = list(dict.fromkeys([*dense, *sparse]))
    lowest = min(dense.values(), default=0.0)
    by_vector = standardised([dense.get(id_, lowest) for id_ in ids])
    by_terms = standardised([sparse.get(id_, 0.0) for id_ in ids])
    return {
        id_: dense_weight * one + (1 - dense_weight) * other
        for id_, one, other in zip(ids, by_vector, by_terms, strict=True)
    }


def standardised(scores: Sequence[float]) -> list[float]:
    """With mean 0 and standard deviation 1; all 0 where they do not differ."""
    if not scores:
        return []
    mean, deviation = fmean(scores), pstdev(scores)
    return [(score - mean) / deviation if deviation > 1e-12 else 0.0 for score in scores]


def rescaled(scores: Scores, *, low: float, high: float) -> dict[str, float]:
    """Linearly onto [low, high]; all `high` where they do not differ."""
    least, most = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    if most - least < 1e-12:
        return dict.fromkeys(scores, high)
    return {id_: low + (high - low) * (score - least) / (most - least) for id_, score in scores.items()}
