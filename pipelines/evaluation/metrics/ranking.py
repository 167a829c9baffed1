"""Measures of a ranking against relevance judgements: pure, one query at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import log2


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """Normalised discounted cumulative gain at `k`; 0 where nothing is relevant.

    Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with the linear gain
    and the discount log2(rank + 1) that trec_eval's `ndcg_cut` uses. `gains` has the relevant ones.
    """
    ideal = sum(
        gain / log2(rank + 1) for rank, gain in enumerate(sorted(gains.values(), reverse=True)[:k], 1)
    )
    found = sum(gains.get(item, 0.0) / log2(rank + 1) for rank, item in enumerate(ranking[:k], 1))
    return found / ideal if ideal else 0.0


def recall(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of the relevant ones among the first `k` (trec_eval's `recall`); 0 where there are none."""
    return len(set(ranking[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], relevant: Collection[str]) -> float:
    """1 / the rank of the first relevant one (trec_eval's `recip_rank`); 0 where none is ranked."""
    return next((1 / rank for rank, item in enumerate(ranking, 1) if item in relevant), 0.0)


def precision(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of relevant ones among the first `k` places, filled or not (trec_eval's `P`)."""
    return len(set(ranking[:k]) & set(relevant)) / k
