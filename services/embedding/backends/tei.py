"""A text-embeddings-inference server (any that speaks its routes)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.errors import InvalidRequest, ServiceError
from services.core.wire.embedding import Direction, EmbeddingInfo, Token
from services.embedding.backend import EncodedTexts
from services.embedding.backends._server import (
    ServerSettings,
    check_count,
    parse_json,
    read_vectors,
    split_texts,
)

PARALLEL = 4
"""Requests in flight: TEI batches across requests, so a few keep it busy."""


class Settings(ServerSettings):
    """The TEI server."""

    endpoint: str = Field(
        "http://127.0.0.1:8090",
        validation_alias="TEI_EMBEDDING_ENDPOINT",
        description="tei: base URL of the text-embeddings-inference server that embeds",
    )


class TeiEmbedding:
    """Passes texts on, in as many requests as the server's own batch limit asks for."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._info: EmbeddingInfo | None = None
        self._slots = asyncio.Semaphore(PARALLEL)

    async def info(self) -> EmbeddingInfo:
        """Describe the server's model, with the dimension that a probe shows; asked once."""
        if self._info is None:
            try:
                info = EmbeddingInfo.model_validate_json(await self._http.get("/info"))
            except ValidationError as error:
                raise ServiceError(
                    "the server at TEI_EMBEDDING_ENDPOINT is not a TEI that embeds: its /info lacks fields",
                    service=self._http.service,
                ) from error
            probe = await self._embed(["dimension"], normalize=True, truncate=True)
            self._info = info.model_copy(update={"dim": probe.shape[1], "token_vectors": _gives_states(info)})
        return self._info

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        info = await self.info()
        if token_vectors and not info.token_vectors:
            raise InvalidRequest(f"{info.model_id} gives no token vectors: leave `token_vectors` out")
        limit = info.max_input_length
        cut: _Truncation = {"truncate": truncate, "direction": direction}

        async def encode_run(texts: Sequence[str]) -> EncodedTexts:
            async with self._slots:
                vectors, counted, states = await asyncio.gather(
                    self._embed(texts, normalize=normalize, **cut),
                    self._count_tokens(texts, limit),
                    self._states(texts, **cut) if token_vectors else _no_states(),
                )
            return EncodedTexts(vectors, counted, states)

        parts = await asyncio.gather(
            *(encode_run(run) for run in split_texts(texts, info.max_client_batch_size))
        )
        return EncodedTexts(
            vectors=np.concatenate([part.vectors for part in parts]),
            tokens=[count for part in parts for count in part.tokens],
            states=[state for part in parts for state in part.states or []] if token_vectors else None,
        )

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        size = (await self.info()).max_client_batch_size

        async def tokenize_run(texts: Sequence[str]) -> list[list[Token]]:
            async with self._slots:
                return await self._tokens(texts, add_special_tokens=add_special_tokens)

        parts = await asyncio.gather(*(tokenize_run(run) for run in split_texts(texts, size)))
        return [tokens for part in parts for tokens in part]

    async def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        size = (await self.info()).max_client_batch_size
        texts: list[str] = []
        for start in range(0, len(ids), size):
            run = [list(text) for text in ids[start : start + size]]
            reply = await self._post("/decode", {"ids": run, "skip_special_tokens": skip_special_tokens})
            if not isinstance(reply, list) or len(reply) != len(run):
                raise ServiceError(f"{self._http.service} decoded no texts", service=self._http.service)
            texts += [str(text) for text in reply]
        return texts

    async def ready(self) -> None:
        await self._http.get("/health")

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, fields: Mapping[str, object]) -> object:
        body = await self._http.post(path, orjson.dumps(fields), idempotent=True)
        return parse_json(body, self._http.service)

    async def _embed(
        self, texts: Sequence[str], *, normalize: bool, truncate: bool, direction: Direction = "right"
    ) -> NDArray[np.float32]:
        request = {"inputs": list(texts), "normalize": normalize, **_truncation_fields(truncate, direction)}
        reply = await self._post("/embed", request)
        return check_count(read_vectors(reply, self._http.service), len(texts), self._http.service)

    async def _count_tokens(self, texts: Sequence[str], limit: int) -> list[int]:
        """Count tokens by `/tokenize`, the one route whose body tells; it runs beside `/embed`."""
        tokens = await self._tokens(texts, add_special_tokens=True)
        return [min(len(text), limit) for text in tokens]

    async def _tokens(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        return await EmbeddingClient(self._http).tokenize(texts, add_special_tokens=add_special_tokens)

    async def _states(
        self, texts: Sequence[str], *, truncate: bool, direction: Direction
    ) -> list[NDArray[np.float32]]:
        reply = await self._post(
            "/embed_all", {"inputs": list(texts), **_truncation_fields(truncate, direction)}
        )
        if not isinstance(reply, list) or len(reply) != len(texts):
            raise ServiceError(f"{self._http.service} sent no token vectors", service=self._http.service)
        return [read_vectors(states, self._http.service) for states in reply]


class _Truncation(TypedDict):
    """How texts that are too long are cut."""

    truncate: bool
    direction: Direction


def _truncation_fields(truncate: bool, direction: Direction) -> dict[str, object]:
    return {"truncate": truncate, "truncation_direction": direction.capitalize()}


def _gives_states(info: EmbeddingInfo) -> bool:
    """Say whether states may be asked for.

    Encoders that pool so put a special token at either end, which is what `EncodedTexts.states` promises.
    """
    return info.model_type.get("embedding", {}).get("pooling") in {"mean", "cls"}


async def _no_states() -> None:
    return


async def create() -> TeiEmbedding:
    """Make a client of the server; it is first called at first use."""
    settings = Settings.load()
    return TeiEmbedding(settings.client("tei", settings.endpoint))
