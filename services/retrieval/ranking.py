"""The reply to a search, from what the store found: one list, fused, cut, and diverse if asked."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.wire.passages import Passage
from services.retrieval.candidates import Candidates
from services.retrieval.fusion import reciprocal_rank, rescaled, weighted
from services.retrieval.mmr import diverse
from services.retrieval.plan import Plan


def rank(found: Candidates, plan: Plan) -> list[Passage]:
    """At most `plan.k` passages, best first, with every score that is known of them.

    The order is that of `fused_score` where the mode is hybrid, of `score` where it is dense, of
    `sparse_score` where it is sparse. The threshold is on the cosine, whatever the order.
    """
    merged = {passage.id: passage for passage in found.dense}
    for passage in found.sparse:
        also = merged.get(passage.id)
        merged[passage.id] = (
            passage if also is None else also.model_copy(update={"sparse_score": passage.sparse_score})
        )
    if plan.threshold is not None:
        merged = {id_: each for id_, each in merged.items() if _cosine(each) >= plan.threshold}
    scores = _scores(found, merged, plan)
    if plan.mode == "hybrid":
        merged = {id_: each.model_copy(update={"fused_score": scores[id_]}) for id_, each in merged.items()}
    if plan.mmr_weight is not None:
        relevance = _as_cosines(scores, merged)
        order = diverse(relevance, found.vectors, k=plan.k, weight=plan.mmr_weight)
    else:
        order = sorted(scores, key=lambda id_: -scores[id_])[: plan.k]
    return [merged[id_] for id_ in order]


def _scores(found: Candidates, merged: Mapping[str, Passage], plan: Plan) -> dict[str, float]:
    """What the passages that are left are ordered by. Ties keep the order of their side."""
    sparse = {id_: each.sparse_score for id_, each in merged.items() if each.sparse_score is not None}
    dense = {id_: each.score for id_, each in merged.items() if each.score is not None}
    match plan.mode:
        case "dense":
            return dense
        case "sparse":
            return sparse
        case "hybrid" if plan.fusion == "weighted":
            return weighted(dense, sparse, dense_weight=plan.dense_weight)
        case _:
            sides = [[each.id for each in side if each.id in merged] for side in (found.dense, found.sparse)]
            return reciprocal_rank(sides, k=plan.rrf_k)


def _as_cosines(scores: Mapping[str, float], merged: Mapping[str, Passage]) -> dict[str, float]:
    """On the scale of the passages' cosines, so that relevance and likeness can be weighed."""
    cosines = [passage.score for passage in merged.values() if passage.score is not None] or [0.0, 1.0]
    return rescaled(scores, low=min(cosines), high=max(cosines))


def _cosine(passage: Passage) -> float:
    return -1.0 if passage.score is None else passage.score
