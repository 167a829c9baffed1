"""The embedding service: TEI's routes, OpenAI's, and `/v1/encode` with token vectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar, cast

from fastapi import APIRouter, FastAPI, Request, Response

from services.core.app import create_app
from services.core.backends import load
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, PayloadTooLarge
from services.core.health import Check, Soft
from services.core.metrics import Metrics
from services.core.replies import packed_wanted
from services.core.streaming import until_disconnected
from services.core.tei import RESPONSES
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
from services.embedding.backend import PACKAGE, EmbeddingBackend
from services.embedding.cache import EmbeddingCache, SharedCache
from services.embedding.encoder import Embedded, Encoder, Wanted
from services.embedding.metrics import EmbeddingMetrics
from services.embedding.render import encode_reply, openai_reply, reply
from services.embedding.settings import Settings

SERVICE = "embedding"

TEI_ROUTES = ("/info", "/embed", "/embed_all", "/tokenize")

router = APIRouter(tags=["embedding"])
tei_route = partial(router.post, responses=RESPONSES)
T = TypeVar("T")


class _Module(Protocol):
    async def create(self) -> EmbeddingBackend: ...


def create(settings: Settings) -> FastAPI:
    """The service's app; what it holds opens and closes with it, at `app.state.encoder` and `.backend`."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        metrics = EmbeddingMetrics(app.state.metrics)
        backend = await cast(_Module, load(PACKAGE, settings.backend)).create()
        shared = SharedCache(settings.cache_url, settings.cache_seconds) if settings.cache_url else None
        cache = EmbeddingCache(settings.cache_bytes, shared, metrics.looked_up)
        metrics.watch(backend, lambda: cache.held)
        app.state.backend = backend
        app.state.embedding_metrics = metrics
        app.state.encoder = Encoder(
            backend,
            cache if settings.cache_bytes or shared else None,
            settings.query_prefix,
            settings.passage_prefix,
        )
        checks: dict[str, Check] = {settings.backend: backend.ready}
        if shared is not None:
            checks["redis"] = Soft(shared.ready)
        try:
            yield checks
        finally:
            await cache.close()
            await backend.close()

    return create_app(
        service=SERVICE, settings=settings, router=router, resources=resources, tei_routes=TEI_ROUTES
    )


class _Call:
    """One request: limits first, then its work within its deadline, while its client listens."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.settings: Settings = request.app.state.settings
        self.encoder: Encoder = request.app.state.encoder
        self.backend: EmbeddingBackend = request.app.state.backend
        self._metrics: Metrics = request.app.state.metrics
        self._own: EmbeddingMetrics = request.app.state.embedding_metrics

    async def info(self) -> EmbeddingInfo:
        known = await self.encoder.info()
        limits = {"max_client_batch_size": self.settings.max_batch, "version": self._request.app.version}
        return known.model_copy(update=limits)

    async def encode(
        self, texts: str | Sequence[str], wanted: Wanted, *, dimensions: int | None = None
    ) -> tuple[Embedded, str]:
        """The vectors and the model's id. Raises `InvalidRequest` and `PayloadTooLarge` as TEI does."""
        inputs = self.checked(texts)
        known = await self.encoder.info()
        if dimensions not in {None, known.dim}:
            raise InvalidRequest(f"`dimensions`: {known.model_id} gives {known.dim}, leave it out")
        if wanted.token_vectors and not known.token_vectors:
            wanted = replace(wanted, token_vectors=False)
        return await self.work(self.encoder.encode(inputs, wanted), known), known.model_id

    async def work(self, work: Coroutine[object, object, T], known: EmbeddingInfo) -> T:
        async with within_deadline("embedding", service=SERVICE):
            with self._metrics.stage("embed", known.model_id):
                try:
                    return await until_disconnected(self._request, work)
                finally:
                    self._own.passed(self.backend)

    def checked(self, texts: str | Sequence[str]) -> Sequence[str]:
        texts = [texts] if isinstance(texts, str) else texts
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


@tei_route("/embed", response_model=list[list[float]], summary="TEI: one vector per text")
async def embed(request: Request, body: EmbedRequest) -> Response:
    embedded, _ = await _Call(request).encode(body.inputs, _wanted(body), dimensions=body.dimensions)
    return reply(embedded.vectors)


@tei_route(
    "/embed_all",
    response_model=list[list[list[float]]],
    summary="TEI: the last hidden state of every token, special ones included, not normalised",
)
async def embed_all(request: Request, body: EmbedRequest) -> Response:
    call = _Call(request)
    inputs, known = call.checked(body.inputs), await call.encoder.info()
    if not known.token_vectors:
        raise InvalidRequest(f"{known.model_id} behind this service gives no token vectors: use /embed")
    encoded = await call.work(call.encoder.states(inputs, _wanted(body)), known)
    return reply(encoded.states)


@tei_route("/tokenize", response_model=list[list[Token]], summary="TEI: tokens, with offsets in characters")
async def tokenize(request: Request, body: TokenizeRequest) -> Response:
    """Nothing is truncated. 501 where the backend has no tokenizer to ask."""
    call = _Call(request)
    texts = await call.encoder.prefixed(call.checked(body.inputs), body.prompt_name)
    work = call.backend.tokenize(texts, add_special_tokens=body.add_special_tokens)
    async with within_deadline("tokenization", service=SERVICE):
        return reply(await until_disconnected(request, work))


@router.post("/v1/embeddings", response_model=OpenAIEmbeddingReply, summary="OpenAI: one vector per text")
async def embeddings(request: Request, body: OpenAIEmbeddingRequest) -> Response:
    """No prefix is put before the texts: OpenAI's protocol does not say which of them are queries."""
    call = _Call(request)
    wanted = Wanted(truncate=call.settings.auto_truncate)
    embedded, model = await call.encode(body.input, wanted, dimensions=body.dimensions)
    return openai_reply(embedded, model, as_base64=body.encoding_format == "base64")


@router.post("/v1/encode", response_model=EncodeReply, summary="Vectors and int8 token vectors in one pass")
async def encode(request: Request, body: EncodeRequest) -> Response:
    wanted = Wanted(truncate=body.truncate, prompt=body.prompt_name, token_vectors=body.token_vectors)
    embedded, model = await _Call(request).encode(body.inputs, wanted)
    # megabytes of token vectors: not on the event loop
    return await asyncio.to_thread(encode_reply, embedded, model, packed=packed_wanted(request))


def _wanted(body: EmbedRequest) -> Wanted:
    return Wanted(body.normalize, body.truncate, body.truncation_direction, body.prompt_name)
