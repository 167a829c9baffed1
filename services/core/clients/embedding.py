"""The client of the embedding service, which a TEI container can stand in for."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from services.core.client import HttpClient
from services.core.errors import NotFound, ServiceError
from services.core.wire.embedding import EmbeddingInfo, EncodeReply


class EmbeddingClient:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def embed_query(self, text: str) -> list[float]:
        """One L2-normalised vector, by TEI's `/embed`; an over-long query is truncated."""
        body = await self._http.post(
            "/embed", orjson.dumps({"inputs": text, "normalize": True, "truncate": True}), idempotent=True
        )
        try:
            vector: list[float] = orjson.loads(body)[0]
        except (orjson.JSONDecodeError, LookupError, TypeError) as error:
            raise ServiceError(
                "embedding sent a reply that is not [[float]]", service=self._http.service
            ) from error
        return vector

    async def encode(
        self, texts: Sequence[str], *, token_vectors: bool, truncate: bool = True
    ) -> EncodeReply:
        """Vectors, with token vectors where asked for and the service has them.

        Against a server that speaks only TEI, falls back to `/embed`, without token vectors.
        """
        request = {"inputs": list(texts), "token_vectors": token_vectors, "truncate": truncate}
        try:
            body = await self._http.post("/v1/encode", orjson.dumps(request), idempotent=True)
        except NotFound:
            return await self._encode_by_tei(texts, truncate=truncate)
        return EncodeReply.model_validate_json(body)

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo.model_validate_json(await self._http.get("/info"))

    async def ready(self) -> None:
        await self._http.ready()

    async def _encode_by_tei(self, texts: Sequence[str], *, truncate: bool) -> EncodeReply:
        request = {"inputs": list(texts), "normalize": True, "truncate": truncate}
        embeddings = orjson.loads(await self._http.post("/embed", orjson.dumps(request), idempotent=True))
        info = orjson.loads(await self._http.get("/info"))
        return EncodeReply(model=info["model_id"], dim=len(embeddings[0]), embeddings=embeddings)
