"""How many of the relevant passages a search finds, and how high it ranks them: one query at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import log2

from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metric import context_metric


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


@context_metric("context recall", family="context", order=10, higher_is_better=True, source="trec_eval")
def context_recall(item: Item, context: Context) -> float | None:
    """The share of a question's relevant passages that the search found; k is the number of passages that
    the context holds."""
    ranking = context.relevant_found
    return recall(ranking, item.relevant, len(ranking)) if _is_known(item, context) else None


@context_metric("reciprocal rank", family="context", order=20, higher_is_better=True, source="trec_eval")
def context_rank(item: Item, context: Context) -> float | None:
    """1 / the rank of the first relevant passage; 0 where none was found."""
    return reciprocal_rank(context.relevant_found, item.relevant) if _is_known(item, context) else None


def _is_known(item: Item, context: Context) -> bool:
    """Whether there was a search, and its relevant passages are known."""
    return context.grounds == "retrieved" and bool(item.relevant)
