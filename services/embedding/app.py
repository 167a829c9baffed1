"""The embedding service: TEI's routes, OpenAI's, and `/v1/encode` with token vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Protocol, cast

from fastapi import APIRouter, FastAPI, Request, Response

from services.core.app import create_app
from services.core.backends import load
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, PayloadTooLarge
from services.core.health import Check
from services.core.metrics import Metrics
from services.core.streaming import until_disconnected
from services.core.wire.embedding import (
    EmbeddingInfo,
    EmbedRequest,
    EncodeReply,
    EncodeRequest,
    OpenAIEmbeddingReply,
    OpenAIEmbeddingRequest,
    Token,
    TokenizeRequest,
)
from services.embedding.backend import PACKAGE, EmbeddingBackend, Encoded
from services.embedding.render import encode_reply, openai_reply, reply
from services.embedding.settings import Settings

SERVICE = "embedding"

router = APIRouter(tags=["embedding"])


class _Module(Protocol):
    async def create(self) -> EmbeddingBackend: ...


def create(settings: Settings) -> FastAPI:
    """The service's app; its backend opens and closes with it, at `app.state.embedding`."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        backend = await cast(_Module, load(PACKAGE, settings.backend)).create()
        app.state.embedding = backend
        try:
            yield {settings.backend: backend.ready}
        finally:
            await backend.close()

    return create_app(service=SERVICE, settings=settings, router=router, resources=resources)


class _Call:
    """One request's use of the backend: limits first, then within its deadline, while its client listens."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.settings: Settings = request.app.state.settings
        self._backend: EmbeddingBackend = request.app.state.embedding
        self._metrics: Metrics = request.app.state.metrics

    async def info(self) -> EmbeddingInfo:
        known = await self._backend.info()
        limits = {"max_client_batch_size": self.settings.max_batch, "version": version("ragline")}
        return known.model_copy(update=limits)

    async def encode(
        self,
        texts: str | Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        token_vectors: bool = False,
        dimensions: int | None = None,
    ) -> tuple[Encoded, str]:
        """The vectors and the model's id. Raises `InvalidRequest` and `PayloadTooLarge` as TEI does."""
        inputs = self._checked([texts] if isinstance(texts, str) else texts)
        known = await self._backend.info()
        if dimensions not in {None, known.dim}:
            raise InvalidRequest(f"`dimensions`: {known.model_id} gives {known.dim}, leave it out")
        work = self._backend.encode(
            inputs,
            normalize=normalize,
            truncate=truncate,
            token_vectors=token_vectors and known.token_vectors,
        )
        async with within_deadline("embedding", service=SERVICE):
            with self._metrics.stage("embed", known.model_id):
                return await until_disconnected(self._request, work), known.model_id

    async def tokenize(self, texts: str | Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        inputs = self._checked([texts] if isinstance(texts, str) else texts)
        work = self._backend.tokenize(inputs, add_special_tokens=add_special_tokens)
        async with within_deadline("tokenization", service=SERVICE):
            return await until_disconnected(self._request, work)

    def _checked(self, texts: Sequence[str]) -> Sequence[str]:
        if not texts:
            raise InvalidRequest("`inputs` cannot be empty: send at least one text")
        if len(texts) > self.settings.max_batch:
            raise PayloadTooLarge(
                f"batch size {len(texts)} > maximum allowed batch size {self.settings.max_batch}: "
                "send fewer texts per request"
            )
        for position, text in enumerate(texts):
            if not text:
                raise InvalidRequest(f"`inputs` cannot be empty: text {position} is")
        return texts


@router.get("/info", summary="TEI: the model and its limits")
async def info(request: Request) -> EmbeddingInfo:
    return await _Call(request).info()


@router.post("/embed", response_model=list[list[float]], summary="TEI: one vector per text")
async def embed(request: Request, body: EmbedRequest) -> Response:
    encoded, _ = await _Call(request).encode(
        body.inputs, normalize=body.normalize, truncate=body.truncate, dimensions=body.dimensions
    )
    return reply(encoded.vectors)


@router.post(
    "/embed_all",
    response_model=list[list[list[float]]],
    summary="TEI: the last hidden state of every token, special ones included, not normalised",
)
async def embed_all(request: Request, body: EmbedRequest) -> Response:
    encoded, model = await _Call(request).encode(
        body.inputs, normalize=False, truncate=body.truncate, token_vectors=True
    )
    if encoded.states is None:
        raise InvalidRequest(f"{model} behind this service gives no token vectors: use /embed")
    return reply(encoded.states)


@router.post(
    "/tokenize",
    response_model=list[list[Token]],
    summary="TEI: the model's tokens, with offsets in characters",
)
async def tokenize(request: Request, body: TokenizeRequest) -> Response:
    """Nothing is truncated. 501 where the backend has no tokenizer to ask."""
    return reply(await _Call(request).tokenize(body.inputs, add_special_tokens=body.add_special_tokens))


@router.post("/v1/embeddings", response_model=OpenAIEmbeddingReply, summary="OpenAI: one vector per text")
async def embeddings(request: Request, body: OpenAIEmbeddingRequest) -> Response:
    call = _Call(request)
    encoded, model = await call.encode(
        body.input, normalize=True, truncate=call.settings.auto_truncate, dimensions=body.dimensions
    )
    return openai_reply(encoded, model, as_base64=body.encoding_format == "base64")


@router.post("/v1/encode", response_model=EncodeReply, summary="Vectors and int8 token vectors in one pass")
async def encode(request: Request, body: EncodeRequest) -> Response:
    encoded, model = await _Call(request).encode(
        body.inputs, normalize=True, truncate=body.truncate, token_vectors=body.token_vectors
    )
    return encode_reply(encoded, model)
