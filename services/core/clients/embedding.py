"""The client of the embedding service, which a TEI container can stand in for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import orjson
from pydantic import Field, TypeAdapter

from services.core.client import HttpClient
from services.core.errors import InvalidRequest, NotFound, ServiceError
from services.core.text import normalise
from services.core.wire import encoding
from services.core.wire.embedding import EmbeddingInfo, EncodeReply, Token
from services.core.wire.encoding import decode

Prompt = Literal["query", "passage"]

_VECTORS = TypeAdapter(Annotated[list[list[float]], Field(min_length=1)])
_ONE_VECTOR = TypeAdapter(Annotated[list[list[float]], Field(min_length=1, max_length=1)])
_ENCODED = TypeAdapter(EncodeReply)
_INFO = TypeAdapter(EmbeddingInfo)
_TOKENS = TypeAdapter(list[list[Token]])


class EmbeddingClient:
    """`Prompt` names the prefix that the model wants before such a text; a TEI that has none does without."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._has_prompts = True

    async def embed_query(self, text: str) -> list[float]:
        """Return one L2-normalised vector, by TEI's `/embed`; an over-long query is truncated."""
        body = await self._embed(normalise(text), prompt="query", truncate=True)
        return decode(_ONE_VECTOR, body, self._http.service)[0]

    async def encode(
        self, texts: Sequence[str], *, token_vectors: bool, truncate: bool = True, prompt: Prompt = "passage"
    ) -> EncodeReply:
        """Return vectors, with token vectors where asked for and the service has them.

        Against a server that speaks only TEI, falls back to `/embed`, without token vectors.
        """
        request = {
            "inputs": [normalise(text) for text in texts],
            "token_vectors": token_vectors,
            "truncate": truncate,
            "prompt_name": prompt,
        }
        try:
            body = await self._http.post(
                "/v1/encode", orjson.dumps(request), headers=encoding.ACCEPT_PACKED, idempotent=True
            )
        except NotFound:
            return await self._encode_by_tei(texts, truncate=truncate, prompt=prompt)
        return decode(_ENCODED, body, self._http.service)

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[Token]]:
        """Split each text into the tokens of the embedding model's tokenizer, by TEI's `/tokenize`.

        Nothing is truncated. Raises `NotSupported` where the backend has no tokenizer to ask.
        """
        request = {"inputs": list(texts), "add_special_tokens": add_special_tokens}
        body = await self._http.post("/tokenize", orjson.dumps(request), idempotent=True)
        tokens = decode(_TOKENS, body, self._http.service)
        if len(tokens) != len(texts):
            raise ServiceError(
                f"{self._http.service} tokenized {len(tokens)} of {len(texts)} texts",
                service=self._http.service,
            )
        return tokens

    async def info(self) -> EmbeddingInfo:
        return decode(_INFO, await self._http.get("/info"), self._http.service)

    async def ready(self) -> None:
        await self._http.ready()

    async def _embed(self, inputs: str | list[str], *, prompt: Prompt, truncate: bool) -> bytes:
        request: dict[str, object] = {"inputs": inputs, "normalize": True, "truncate": truncate}
        if self._has_prompts:
            named = orjson.dumps({**request, "prompt_name": prompt})
            try:
                return await self._http.post("/embed", named, idempotent=True)
            except InvalidRequest as error:
                if "prompt" not in error.message:
                    raise
                self._has_prompts = False  # a TEI whose model has no prompt of this name refuses it
        return await self._http.post("/embed", orjson.dumps(request), idempotent=True)

    async def _encode_by_tei(self, texts: Sequence[str], *, truncate: bool, prompt: Prompt) -> EncodeReply:
        body = await self._embed([normalise(text) for text in texts], prompt=prompt, truncate=truncate)
        embeddings = decode(_VECTORS, body, self._http.service)
        info = await self.info()
        return EncodeReply(model=info.model_id, dim=len(embeddings[0]), embeddings=embeddings)
