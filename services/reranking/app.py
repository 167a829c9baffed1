"""The reranking service: TEI's `/rerank` and `/info`, and `/v1/reranking`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Protocol, cast

from fastapi import APIRouter, FastAPI, Request

from services.core.app import create_app
from services.core.backends import load
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, NotSupported, PayloadTooLarge
from services.core.health import Check
from services.core.metrics import Metrics
from services.core.replies import JsonReply, until_disconnected
from services.core.tei import RESPONSES
from services.core.wire.passages import Passage
from services.core.wire.reranking import (
    Rank,
    RerankerInfo,
    RerankingReply,
    RerankingRequest,
    RerankRequest,
    SentencesReply,
    SentencesRequest,
)
from services.reranking.backend import PACKAGE, Reranker, ScoresSentences
from services.reranking.scoring import sigmoid
from services.reranking.settings import Settings

SERVICE = "reranking"

TEI_ROUTES = ("/", "/info", "/rerank")

router = APIRouter(tags=["reranking"])


class _BackendModule(Protocol):
    async def create(self) -> Reranker: ...


def create(settings: Settings) -> FastAPI:
    """Make the service's app; its backend opens and closes with it, at `app.state.reranker`."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        backend = await cast(_BackendModule, load(PACKAGE, settings.backend)).create()
        app.state.reranker = backend
        try:
            yield backend.dependencies()
        finally:
            await backend.close()

    return create_app(
        service=SERVICE, settings=settings, router=router, resources=resources, tei_routes=TEI_ROUTES
    )


async def _rank_passages(
    request: Request, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool
) -> list[tuple[int, float]]:
    """Score passages; give positions and scores, best first, of equals the earlier one first."""
    settings: Settings = request.app.state.settings
    backend: Reranker = request.app.state.reranker
    metrics: Metrics = request.app.state.metrics
    if not query.strip():
        raise InvalidRequest("the query cannot be empty: there is nothing to rank by")
    if len(passages) > settings.max_batch:
        raise PayloadTooLarge(
            f"batch size {len(passages)} > maximum allowed batch size {settings.max_batch}: send fewer texts"
        )
    work = backend.score(query, passages, collection=collection, truncate=truncate)
    async with within_deadline("reranking", service=SERVICE):
        with metrics.stage("rerank", backend.model):
            scores = await until_disconnected(request, work)
    return sorted(enumerate(scores), key=lambda scored: -scored[1])


@router.get("/info", summary="TEI: the model and its limits")
async def info(request: Request) -> RerankerInfo:
    backend: Reranker = request.app.state.reranker
    settings: Settings = request.app.state.settings
    return RerankerInfo(
        model_id=backend.model, max_client_batch_size=settings.max_batch, version=version("ragline")
    )


@router.post("/", response_model=list[Rank], responses=RESPONSES, summary="TEI: the same as /rerank")
@router.post(
    "/rerank",
    response_model=list[Rank],
    responses=RESPONSES,
    summary="TEI: texts by relevance, best first",
)
async def rerank(request: Request, body: RerankRequest) -> JsonReply:
    """Scores are in (0, 1), by the sigmoid of the raw ones as in TEI, unless `raw_scores` asks for these."""
    passages = [
        Passage(id=str(position), document_id="", text=text) for position, text in enumerate(body.texts)
    ]
    ranked = await _rank_passages(request, body.query, passages, collection=None, truncate=body.truncate)
    ranks: list[dict[str, int | float | str]] = []
    for index, score in ranked:
        rank: dict[str, int | float | str] = {
            "index": index,
            "score": score if body.raw_scores else sigmoid(score),
        }
        if body.return_text:
            rank["text"] = body.texts[index]
        ranks.append(rank)
    return JsonReply(ranks)


@router.post("/v1/reranking", response_model=RerankingReply, summary="The best passages of a retrieval")
async def reranking(request: Request, body: RerankingRequest) -> JsonReply:
    """Too long texts are truncated. Scores are the backend's own: see its file for their meaning."""
    query, docs = body.initial_query, body.retrieved_docs
    ranked = await _rank_passages(request, query, docs, collection=body.stored_in, truncate=True)
    best = ranked[: body.top_n]
    results = [{"index": index, "score": score} for index, score in best]
    reply: dict[str, object] = {"results": results, "model": request.app.state.reranker.model}
    if not body.positions_only:
        texts = [{"text": docs[index].text, "score": score} for index, score in best]
        reply |= {"query": query, "initial_query": query, "reranked_docs": texts}
        reply["documents"] = [docs[index].text for index, _ in best]
    return JsonReply(reply)


@router.post(
    "/v1/sentences", response_model=SentencesReply, summary="How near sentences of passages are to a query"
)
async def sentences(request: Request, body: SentencesRequest) -> JsonReply:
    """501 where the backend has no token vectors: late_interaction has."""
    backend: Reranker = request.app.state.reranker
    metrics: Metrics = request.app.state.metrics
    if not isinstance(backend, ScoresSentences):
        raise NotSupported(f"{backend.model} has no token vectors: RERANKING_BACKEND=late_interaction has")
    if not body.query.strip():
        raise InvalidRequest("the query cannot be empty: there is nothing to compare with")
    stored = body.collection if all(passage.document_id for passage in body.passages) else None
    work = backend.sentence_cosines(body.query, body.passages, body.spans, collection=stored)
    async with within_deadline("sentences", service=SERVICE):
        with metrics.stage("sentences", backend.model):
            cosines = await until_disconnected(request, work)
    return JsonReply({"cosines": cosines, "model": backend.model})
