"""The client of the retrieval service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

import orjson
from pydantic import TypeAdapter

from services.core.client import HttpClient
from services.core.wire import encoding
from services.core.wire.base import Filter
from services.core.wire.encoding import decode
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import (
    AliasesReply,
    AliasRequest,
    CollectionInfo,
    CollectionsReply,
    CountReply,
    DeleteRequest,
    DocumentsReply,
    Fusion,
    Mode,
    NeighboursReply,
    PassagesReply,
    PublishRequest,
    RetrievalReply,
    StoredPassage,
    TokenVectorsReply,
    UpsertRequest,
)

_RETRIEVAL = TypeAdapter(RetrievalReply)
_TOKEN_VECTORS = TypeAdapter(TokenVectorsReply)
_COUNT = TypeAdapter(CountReply)
_NEIGHBOURS = TypeAdapter(NeighboursReply)
_PASSAGES = TypeAdapter(PassagesReply)
_COLLECTIONS = TypeAdapter(CollectionsReply)
_ALIASES = TypeAdapter(AliasesReply)
_DOCUMENTS = TypeAdapter(DocumentsReply)


class RetrievalClient:
    def __init__(self, http: HttpClient, *, stored_name: Callable[[str], str] = str) -> None:
        """Make a client.

        Args:
            http: The service.
            stored_name: Says what the service calls a collection that is named here; it may refuse the name.
        """
        self._http = http
        self._stored = stored_name

    async def search(
        self,
        text: str,
        vector: Sequence[float] | None,
        *,
        k: int,
        collection: str,
        where: Filter | None = None,
        threshold: float | None = None,
        mode: Mode | None = None,
        fusion: Fusion | None = None,
        dense_weight: float | None = None,
        rrf_k: int | None = None,
        mmr_lambda: float | None = None,
    ) -> list[Passage]:
        """Return the `k` best passages, with their scores; what is None is as the settings there say."""
        reply = await self.retrieve(
            text,
            vector,
            k=k,
            collection=collection,
            where=where,
            threshold=threshold,
            mode=mode,
            fusion=fusion,
            dense_weight=dense_weight,
            rrf_k=rrf_k,
            mmr_lambda=mmr_lambda,
        )
        return reply.retrieved_docs

    async def retrieve(
        self,
        text: str,
        vector: Sequence[float] | None,
        *,
        k: int,
        collection: str,
        where: Filter | None = None,
        threshold: float | None = None,
        threshold_languages: Sequence[str] | None = None,
        mode: Mode | None = None,
        fusion: Fusion | None = None,
        dense_weight: float | None = None,
        rrf_k: int | None = None,
        mmr_lambda: float | None = None,
        fetch_k: int | None = None,
    ) -> RetrievalReply:
        """Return passages as `search` does, and how it was decided which are evidence.

        Args:
            threshold_languages: The languages that `threshold` was calibrated for; empty for all, None where
                the cosine alone shall decide.
            fetch_k: How many `mmr_lambda` chooses from; None leaves it to the settings there.
        """
        request = {
            "text": text,
            "embedding": vector,
            "k": k,
            "collection": self._stored(collection),
            "filter": where,
            "score_threshold": threshold,
            "threshold_languages": None if threshold_languages is None else list(threshold_languages),
            "mode": mode,
            "fusion": fusion,
            "dense_weight": dense_weight,
            "rrf_k": rrf_k,
            "mmr_lambda": mmr_lambda,
            "fetch_k": fetch_k,
        }
        body = await self._http.post("/v1/retrieval", orjson.dumps(request), idempotent=True)
        return decode(_RETRIEVAL, body, self._http.service)

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Return the token vectors by passage id; absent where none are stored."""
        request = {"collection": self._stored(collection), "ids": list(ids)}
        body = await self._http.post(
            "/v1/passages/token_vectors",
            orjson.dumps(request),
            headers=encoding.ACCEPT_PACKED,
            idempotent=True,
        )
        return decode(_TOKEN_VECTORS, body, self._http.service).token_vectors

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int = 1, after: int = 1
    ) -> dict[str, list[Passage]]:
        """Return by passage id its document's passages around it, itself among them, in order."""
        request = {"collection": self._stored(collection), "ids": list(ids), "before": before, "after": after}
        body = await self._http.post("/v1/passages/neighbours", orjson.dumps(request), idempotent=True)
        return decode(_NEIGHBOURS, body, self._http.service).neighbours

    async def passages(self, collection: str, *, after: str | None = None, limit: int = 256) -> PassagesReply:
        """Return one page of all passages; the next one is `after` its `next`, the last one's is None."""
        query = f"collection={quote(self._stored(collection))}&limit={limit}" + (
            f"&after={quote(after)}" if after else ""
        )
        body = await self._http.get(f"/v1/passages?{query}")
        return decode(_PASSAGES, body, self._http.service)

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        """Store these durably; `staged` ones are seen once their revision is published."""
        request = UpsertRequest(
            collection=self._stored(collection), model=model, passages=list(passages), staged=staged
        )
        body = encoding.pack(request.model_dump())
        await self._http.post("/v1/passages", body, headers=encoding.SEND_PACKED, idempotent=True)

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        """Make this the one revision that readers see; return how many passages of others that deleted.

        Raises `Conflict` where no passage of the revision is stored, or another number than `passages`.
        """
        request = PublishRequest(
            collection=self._stored(collection), document_id=document_id, revision=revision, passages=passages
        )
        return await self._count("/v1/documents/publish", request)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        """Delete the document, all but one revision, or only one; return how many passages that were."""
        request = DeleteRequest(
            collection=self._stored(collection),
            document_id=document_id,
            keep_revision=keep_revision,
            revision=revision,
        )
        return await self._count("/v1/passages/delete", request)

    async def _count(self, path: str, request: PublishRequest | DeleteRequest) -> int:
        body = await self._http.post(path, orjson.dumps(request.model_dump()), idempotent=True)
        return decode(_COUNT, body, self._http.service).count

    async def documents(self, collection: str) -> list[DocumentInfo]:
        body = await self._http.get(f"/v1/documents?collection={quote(self._stored(collection))}")
        return decode(_DOCUMENTS, body, self._http.service).documents

    async def collections(self) -> list[CollectionInfo]:
        """Return all collections, by their stored names."""
        return decode(_COLLECTIONS, await self._http.get("/v1/collections"), self._http.service).collections

    async def drop(self, collection: str) -> None:
        """Delete a collection with all it holds."""
        await self._http.delete(f"/v1/collections/{quote(self._stored(collection))}")

    async def aliases(self) -> dict[str, str]:
        """Return the collection that each alias means, all by their stored names."""
        return decode(_ALIASES, await self._http.get("/v1/aliases"), self._http.service).aliases

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        """Let the alias mean this collection from now on; see `AliasRequest`."""
        request = AliasRequest(collection=self._stored(collection), replace_collection=replace_collection)
        await self._http.put(f"/v1/aliases/{quote(self._stored(alias))}", orjson.dumps(request.model_dump()))

    async def delete_alias(self, alias: str) -> None:
        await self._http.delete(f"/v1/aliases/{quote(self._stored(alias))}")

    async def ready(self) -> None:
        await self._http.ready()
