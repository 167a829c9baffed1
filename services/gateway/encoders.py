"""`/v1/embeddings` (OpenAI's) and `/v1/rerank` (Cohere's and Jina's): what the search uses, by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from typing import ClassVar, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ConfigDict, Field
from starlette.responses import Response

from services.core.app import explain_invalid
from services.core.client import HttpClient
from services.core.clients.reranking import RerankingClient
from services.core.context import request_id, within_deadline
from services.core.errors import RaglineError
from services.core.exchange import error_headers
from services.core.replies import JsonReply, until_disconnected
from services.core.wire.base import Text, Wire
from services.core.wire.embedding import EmbeddedText, OpenAIEmbeddingReply, OpenAIEmbeddingRequest

router = APIRouter(tags=["encoders"])


class EmbeddingsRequest(OpenAIEmbeddingRequest):
    """OpenAI's request; another field is refused, and `user` changes nothing."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    user: Text | None = None


class RerankDocument(Wire):
    """A document as an object: only its text counts."""

    text: Text


class DocumentsRerankRequest(Wire):
    """`POST /v1/rerank` as Cohere and Jina have it.

    `model` is accepted and chooses nothing: the gateway has one reranker, and the reply's `model` names it.
    Over-long documents are truncated, which Jina's `truncation` asks for and cannot turn off.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=())

    query: Text = Field(min_length=1)
    documents: list[Text | RerankDocument] = Field(min_length=1, max_length=1000)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False
    truncation: Literal[True] = True
    model: Text = ""


class RankedDocument(Wire):
    """A document by its position in the request; `relevance_score` is in (0, 1)."""

    index: int
    relevance_score: float
    document: RerankDocument | None = None


class DocumentsRerankReply(Wire):
    """Best first."""

    id: str
    object: str = "list"
    model: str
    results: list[RankedDocument]


@router.post(
    "/v1/embeddings",
    response_model=OpenAIEmbeddingReply | EmbeddedText,
    summary="OpenAI: one vector for each text",
)
async def embeddings(request: Request, body: EmbeddingsRequest) -> Response:
    """The embedding service answers; `model` must be its model, or left out, where it has a name for it."""
    embedding: HttpClient = request.app.state.embedding
    payload = body.model_dump_json(exclude={"user"}, exclude_defaults=True).encode()
    reply = await until_disconnected(request, embedding.post("/v1/embeddings", payload, idempotent=True))
    return Response(reply, media_type="application/json")


class JinaRoute(APIRoute):
    """A route whose errors say why in `detail` too, where Jina's clients look."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (RaglineError, RequestValidationError) as failure:
                error = failure if isinstance(failure, RaglineError) else explain_invalid(failure)
                body = error.body(service="gateway", request_id=request_id.get()).model_dump()
                return JsonReply(
                    body | {"detail": error.message}, status_code=error.status, headers=error_headers(error)
                )

        return answer


reranks = APIRouter(tags=["encoders"], route_class=JinaRoute)


@reranks.post("/v2/rerank", response_model=DocumentsRerankReply, include_in_schema=False)
@reranks.post(
    "/v1/rerank", response_model=DocumentsRerankReply, summary="Cohere and Jina: documents by relevance"
)
async def rerank(request: Request, body: DocumentsRerankRequest) -> Response:
    """`/v2/rerank` is the same."""
    reranking: RerankingClient = request.app.state.reranking
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    async with within_deadline("the ranking", service="gateway"):
        ranks = await until_disconnected(request, reranking.rank_texts(body.query, texts))
        model = await reranking.model()
    results = [
        RankedDocument(
            index=rank.index,
            relevance_score=rank.score,
            document=RerankDocument(text=texts[rank.index]) if body.return_documents else None,
        )
        for rank in ranks[: body.top_n]
    ]
    reply = DocumentsRerankReply(id=str(uuid.uuid4()), model=model, results=results)
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


router.include_router(reranks)
