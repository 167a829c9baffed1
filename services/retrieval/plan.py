"""What a request wants done, once its own words and the service's settings are put together."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import InvalidRequest
from services.core.wire.retrieval import Fusion, Mode, RetrievalRequest
from services.retrieval.candidates import Query
from services.retrieval.settings import Settings


@dataclass(frozen=True)
class Plan:
    """`threshold` is the least cosine of a passage; `mmr_weight` is None where diversity is not asked for."""

    query: Query
    k: int
    mode: Mode
    fusion: Fusion
    rrf_k: int
    dense_weight: float
    threshold: float | None
    mmr_weight: float | None


def plan(wanted: RetrievalRequest, settings: Settings) -> Plan:
    """Raises `InvalidRequest` where something is missing that the mode needs."""
    mode = _mode(wanted, settings)
    threshold = _threshold(wanted)
    if wanted.embedding is None and (mode != "sparse" or threshold is not None):
        raise InvalidRequest(
            "embedding: missing; only a search with mode `sparse` and without a threshold can do without it"
        )
    mmr = wanted.mmr_lambda
    if mmr is None and wanted.search_type == "mmr":
        mmr = wanted.lambda_mult
    return Plan(
        query=Query(
            vector=wanted.embedding,
            text="" if mode == "dense" else wanted.text,
            dense=mode != "sparse",
            k=_pool(wanted, settings, mode, diverse=mmr is not None),
            where=wanted.filter,
            with_vectors=mmr is not None,
        ),
        k=wanted.k,
        mode=mode,
        fusion=wanted.fusion or settings.fusion,
        rrf_k=settings.rrf_k if wanted.rrf_k is None else wanted.rrf_k,
        dense_weight=settings.dense_weight if wanted.dense_weight is None else wanted.dense_weight,
        threshold=threshold,
        mmr_weight=mmr,
    )


def _mode(wanted: RetrievalRequest, settings: Settings) -> Mode:
    mode = wanted.mode or settings.mode
    if not wanted.text.strip():
        if wanted.mode == "sparse":
            raise InvalidRequest("text: missing; mode `sparse` searches for its words")
        return "dense"
    return mode


def _threshold(wanted: RetrievalRequest) -> float | None:
    """OPEA's search types say which threshold counts; without one, whatever is given."""
    by_distance = None if wanted.distance_threshold is None else 1 - wanted.distance_threshold
    match wanted.search_type:
        case "similarity" | "mmr":
            return None
        case "similarity_score_threshold":
            return wanted.score_threshold
        case "similarity_distance_threshold":
            return by_distance
        case None:
            given = [each for each in (wanted.score_threshold, by_distance) if each is not None]
            return max(given, default=None)


def _pool(wanted: RetrievalRequest, settings: Settings, mode: Mode, *, diverse: bool) -> int:
    """How many candidates each side finds."""
    if diverse:
        return max(wanted.k, wanted.fetch_k or settings.pool)
    return max(wanted.k, settings.pool) if mode == "hybrid" else wanted.k
