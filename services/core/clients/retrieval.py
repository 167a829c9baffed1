"""The client of the retrieval service."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import orjson
from pydantic import TypeAdapter

from services.core.client import HttpClient
from services.core.clients.decode import decode
from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import (
    CountReply,
    DeleteRequest,
    DocumentsReply,
    RetrievalReply,
    StoredPassage,
    TokenVectorsReply,
    UpsertRequest,
)

_RETRIEVAL = TypeAdapter(RetrievalReply)
_TOKEN_VECTORS = TypeAdapter(TokenVectorsReply)
_COUNT = TypeAdapter(CountReply)
_DOCUMENTS = TypeAdapter(DocumentsReply)


class RetrievalClient:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def search(
        self,
        text: str,
        vector: Sequence[float],
        *,
        k: int,
        collection: str,
        where: Filter | None = None,
        threshold: float | None = None,
    ) -> list[Passage]:
        """The `k` most similar passages, best first, each with its score."""
        request = {
            "text": text,
            "embedding": vector,
            "k": k,
            "collection": collection,
            "filter": where,
            "score_threshold": threshold,
        }
        body = await self._http.post("/v1/retrieval", orjson.dumps(request), idempotent=True)
        return decode(_RETRIEVAL, body, self._http.service).retrieved_docs

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """By passage id; absent where none are stored."""
        request = {"collection": collection, "ids": list(ids)}
        body = await self._http.post("/v1/passages/token_vectors", orjson.dumps(request), idempotent=True)
        return decode(_TOKEN_VECTORS, body, self._http.service).token_vectors

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        request = UpsertRequest(collection=collection, model=model, passages=list(passages))
        await self._http.post("/v1/passages", orjson.dumps(request.model_dump()), idempotent=True)

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        """How many passages were deleted."""
        request = DeleteRequest(collection=collection, document_id=document_id, keep_revision=keep_revision)
        body = await self._http.post(
            "/v1/passages/delete", orjson.dumps(request.model_dump()), idempotent=True
        )
        return decode(_COUNT, body, self._http.service).count

    async def documents(self, collection: str) -> list[DocumentInfo]:
        body = await self._http.get(f"/v1/documents?collection={quote(collection)}")
        return decode(_DOCUMENTS, body, self._http.service).documents

    async def ready(self) -> None:
        await self._http.ready()
