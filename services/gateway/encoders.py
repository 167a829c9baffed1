"""`/v1/embeddings` (OpenAI's) and `/v1/rerank` (Cohere's and Jina's): what the search uses, by itself."""

from __future__ import annotations

import uuid
from typing import ClassVar

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from services.core.client import HttpClient
from services.core.clients.reranking import RerankingClient
from services.core.context import within_deadline
from services.core.replies import until_disconnected
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
    Over-long documents are truncated.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=())

    query: Text = Field(min_length=1)
    documents: list[Text | RerankDocument] = Field(min_length=1, max_length=1000)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False
    model: Text = ""


class RankedDocument(Wire):
    """A document by its position in the request; `relevance_score` is in (0, 1)."""

    index: int
    relevance_score: float
    document: RerankDocument | None = None


class DocumentsRerankReply(Wire):
    """Best first."""

    id: str
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


@router.post("/v2/rerank", response_model=DocumentsRerankReply, include_in_schema=False)
@router.post(
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
