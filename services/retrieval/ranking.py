"""A search's plan, from its request and the settings; and its reply, from what the store found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage
from services.core.wire.retrieval import Fusion, Mode, Relevance, RetrievalRequest
from services.retrieval.backend import Candidates, Query
from services.retrieval.evidence import QuestionTraits, put_holders_first, select_evidence
from services.retrieval.fusion import fuse_ranks, fuse_scores, rescale, select_diverse
from services.retrieval.settings import Settings


@dataclass(frozen=True)
class SearchPlan:
    """`threshold` is the least cosine of a passage; `mmr_weight` is None where diversity is not asked for.

    `traits` is None where the cosine alone decides what is evidence.
    """

    query: Query
    k: int
    mode: Mode
    fusion: Fusion
    rrf_k: int
    dense_weight: float
    threshold: float | None
    mmr_weight: float | None
    traits: QuestionTraits | None = None


def plan_search(request: RetrievalRequest, settings: Settings) -> SearchPlan:
    """Complete a request by the service's settings.

    Raises:
        InvalidRequest: Something is missing that the mode needs.
    """
    mode = _choose_mode(request, settings)
    threshold = _choose_threshold(request)
    if request.embedding is None and (mode != "sparse" or threshold is not None):
        raise InvalidRequest(
            "embedding: missing; only a search with mode `sparse` and without a threshold can do without it"
        )
    mmr = request.mmr_lambda
    if mmr is None and request.search_type == "mmr":
        mmr = request.lambda_mult
    traits = None
    if request.threshold_languages is not None:
        traits = QuestionTraits.read(request.text, request.threshold_languages)
    return SearchPlan(
        query=Query(
            vector=request.embedding,
            text=_choose_text(request, mode, traits),
            dense=mode != "sparse",
            k=_count_candidates(request, settings, mode, diverse=mmr is not None),
            where=request.filter,
            with_vectors=mmr is not None,
        ),
        k=request.k,
        mode=mode,
        fusion=request.fusion or settings.fusion,
        rrf_k=settings.rrf_k if request.rrf_k is None else request.rrf_k,
        dense_weight=settings.dense_weight if request.dense_weight is None else request.dense_weight,
        threshold=threshold,
        mmr_weight=mmr,
        traits=traits,
    )


def _choose_mode(request: RetrievalRequest, settings: Settings) -> Mode:
    mode = request.mode or settings.mode
    if not request.text.strip():
        if request.mode == "sparse":
            raise InvalidRequest("text: missing; mode `sparse` searches for its words")
        return "dense"
    return mode


def _choose_text(request: RetrievalRequest, mode: Mode, traits: QuestionTraits | None) -> str:
    """Choose the words to search for: in mode `dense` none but the identifiers, which no vector finds."""
    if mode != "dense":
        return request.text
    return " ".join(identifier.text for identifier in traits.identifiers) if traits else ""


def _choose_threshold(request: RetrievalRequest) -> float | None:
    """Choose by OPEA's search type, which says which threshold counts; without one, the strictest given."""
    by_distance = None if request.distance_threshold is None else 1 - request.distance_threshold
    match request.search_type:
        case "similarity" | "mmr":
            return None
        case "similarity_score_threshold":
            return request.score_threshold
        case "similarity_distance_threshold":
            return by_distance
        case None:
            given = [bound for bound in (request.score_threshold, by_distance) if bound is not None]
            return max(given, default=None)


def _count_candidates(request: RetrievalRequest, settings: Settings, mode: Mode, *, diverse: bool) -> int:
    """Say how many candidates each side finds."""
    if diverse:
        return max(request.k, request.fetch_k or settings.pool)
    return max(request.k, settings.pool) if mode == "hybrid" else request.k


def rank(found: Candidates, plan: SearchPlan) -> tuple[list[Passage], Relevance | None]:
    """Make one list of both sides: fused, cut, and diverse if asked.

    The order is that of `fused_score` where the mode is hybrid, of `score` where it is dense, of
    `sparse_score` where it is sparse. The threshold is on the cosine, whatever the order; where the plan has
    `traits`, all evidence counts, and passages that hold an identifier of the question come first.

    Returns:
        At most `plan.k` passages, best first, with every score that is known of them; and how it was decided
        which are evidence.
    """
    merged = {passage.id: passage for passage in found.dense}
    for passage in found.sparse:
        dense = merged.get(passage.id)
        merged[passage.id] = (
            passage if dense is None else dense.model_copy(update={"sparse_score": passage.sparse_score})
        )
    relevance = None
    if plan.traits is not None:
        merged, relevance = select_evidence(merged, plan.traits, plan.threshold)
    elif plan.threshold is not None:
        merged = {id_: passage for id_, passage in merged.items() if _cosine(passage) >= plan.threshold}
    scores = _score(found, merged, plan)
    if plan.mode == "hybrid":
        merged = {
            id_: passage.model_copy(update={"fused_score": scores[id_]}) for id_, passage in merged.items()
        }
    if plan.mmr_weight is not None:
        near = _rescale_to_cosines(scores, merged)
        # all of them where some must not be cut
        k = len(scores) if plan.traits and plan.traits.identifiers else plan.k
        order = select_diverse(near, found.vectors, k=k, weight=plan.mmr_weight)
    else:
        order = sorted(scores, key=lambda id_: -scores[id_])
    return [merged[id_] for id_ in put_holders_first(order, merged, plan.k)], relevance


def _score(found: Candidates, merged: Mapping[str, Passage], plan: SearchPlan) -> dict[str, float]:
    """Score the passages that are left, for their order. Ties keep the order of their side."""
    sparse = {
        id_: passage.sparse_score for id_, passage in merged.items() if passage.sparse_score is not None
    }
    dense = {id_: passage.score for id_, passage in merged.items() if passage.score is not None}
    match plan.mode:
        case "dense":
            return dense
        case "sparse":
            return sparse
        case "hybrid" if plan.fusion == "weighted":
            return fuse_scores(dense, sparse, dense_weight=plan.dense_weight)
        case _:
            sides = [
                [passage.id for passage in side if passage.id in merged]
                for side in (found.dense, found.sparse)
            ]
            return fuse_ranks(sides, k=plan.rrf_k)


def _rescale_to_cosines(scores: Mapping[str, float], merged: Mapping[str, Passage]) -> dict[str, float]:
    """Bring scores onto the scale of the passages' cosines, so that relevance and likeness can be weighed."""
    cosines = [passage.score for passage in merged.values() if passage.score is not None] or [0.0, 1.0]
    return rescale(scores, low=min(cosines), high=max(cosines))


def _cosine(passage: Passage) -> float:
    return -1.0 if passage.score is None else passage.score
