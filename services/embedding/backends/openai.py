"""Any server with OpenAI's `/v1/embeddings`: vLLM, OVMS, Ollama, TEI, a hosted API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import orjson
from pydantic import Field, ValidationError

from services.core.client import HttpClient
from services.core.errors import InvalidRequest, NotSupported, ServiceError
from services.core.wire.embedding import Direction, EmbeddingInfo, OpenAIEmbeddingReply, Token
from services.embedding.backend import EncodedTexts, normalise
from services.embedding.backends._server import ServerSettings, check_count, read_vectors, split_texts

PARALLEL = 4
"""Requests in flight."""


class Settings(ServerSettings):
    """The server with OpenAI's route."""

    endpoint: str = Field(
        "http://127.0.0.1:8000",
        validation_alias="EMBEDDING_ENDPOINT",
        description="openai: base URL of the server, without /v1",
    )
    model_id: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        validation_alias="EMBEDDING_MODEL_ID",
        description="embedding model: a catalogue name or hub id (openvino), the server's id (openai)",
    )
    max_tokens: int = Field(
        256,
        ge=8,
        validation_alias="EMBEDDING_MAX_TOKENS",
        description="longest text in tokens; all-MiniLM-L6-v2 was trained on at most 256",
    )
    batch: int = Field(
        32,
        ge=1,
        validation_alias="EMBEDDING_ENDPOINT_BATCH",
        description="openai: most texts in one request to the server",
    )


class OpenAIEmbeddingServer:
    """Passes texts on. OpenAI's protocol cannot ask for truncation: what the server refuses is refused."""

    def __init__(self, http: HttpClient, settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._dim = 0
        self._slots = asyncio.Semaphore(PARALLEL)

    async def info(self) -> EmbeddingInfo:
        """Describe the model; `dim` is by a probe, once, as the protocol does not tell it."""
        if not self._dim:
            probe = await self._embed(["dimension"])
            self._dim = probe.vectors.shape[1]
        return EmbeddingInfo(
            model_id=self._settings.model_id, max_input_length=self._settings.max_tokens, dim=self._dim
        )

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        if token_vectors:
            raise InvalidRequest("an OpenAI-compatible server gives no token vectors: leave them out")
        if truncate and direction == "left":
            raise InvalidRequest(
                "an OpenAI-compatible server cuts no text at its start: leave `truncation_direction` out"
            )
        parts = await asyncio.gather(*(self._embed(run) for run in split_texts(texts, self._settings.batch)))
        vectors = np.concatenate([part.vectors for part in parts])
        return EncodedTexts(
            vectors=normalise(vectors) if normalize else vectors,
            tokens=[count for part in parts for count in part.tokens],
        )

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        raise NotSupported(
            "an OpenAI-compatible server has no route that tokenizes: "
            "set EMBEDDING_BACKEND to tei or openvino for it"
        )

    async def ready(self) -> None:
        await self._http.get("/v1/models")

    async def close(self) -> None:
        await self._http.aclose()

    async def _embed(self, texts: Sequence[str]) -> EncodedTexts:
        # floats, not base64: Ollama and OVMS know nothing else
        request = {"input": list(texts), "model": self._settings.model_id, "encoding_format": "float"}
        async with self._slots:
            body = await self._http.post("/v1/embeddings", orjson.dumps(request), idempotent=True)
        service = self._http.service
        try:
            reply = OpenAIEmbeddingReply.model_validate_json(body)
        except ValidationError as error:
            raise ServiceError(f"{service} sent a reply that is not OpenAI's", service=service) from error
        ordered = sorted(reply.data, key=lambda item: item.index)
        vectors = read_vectors([item.embedding for item in ordered], service)
        return EncodedTexts(
            check_count(vectors, len(texts), service), _share_tokens(reply.usage.prompt_tokens, texts)
        )


def _share_tokens(total: int, texts: Sequence[str]) -> list[int]:
    """Share tokens among texts by length, as the server tells only how many they are together."""
    ends = np.cumsum([len(text) for text in texts])
    until = np.rint(ends * (total / max(1, int(ends[-1])))).astype(int)
    return [int(count) for count in np.diff(until, prepend=0)]


async def create() -> OpenAIEmbeddingServer:
    """Make a client of the server; it is first called at first use."""
    settings = Settings.load()
    return OpenAIEmbeddingServer(settings.client("openai embeddings", settings.endpoint), settings)
