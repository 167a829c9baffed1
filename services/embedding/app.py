"""The embedding service: TEI's routes, OpenAI's, and `/v1/encode` with token vectors."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar, cast

import numpy as np
import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from numpy.typing import NDArray

from services.core.app import create_app
from services.core.backends import load
from services.core.context import within_deadline
from services.core.errors import InvalidRequest
from services.core.health import Check, Soft
from services.core.replies import PackedReply, accepts_packed, until_disconnected
from services.core.tei import RESPONSES
from services.core.wire.embedding import (
    DecodeRequest,
    EmbeddedText,
    EmbeddingInfo,
    EmbedRequest,
    EncodeReply,
    EncodeRequest,
    OpenAIEmbeddingReply,
    OpenAIEmbeddingRequest,
    Token,
    TokenizeRequest,
)
from services.embedding.backend import PACKAGE, CreateBackend
from services.embedding.cache import EmbeddingCache, SharedCache
from services.embedding.call import SERVICE, Call, EmbeddingMetrics, list_ids
from services.embedding.encoder import EmbeddedTexts, EmbedOptions, Encoder
from services.embedding.settings import Settings

TEI_ROUTES = ("/", "/info", "/embed", "/embed_all", "/tokenize", "/decode")

OPEA_SEARCH = EmbeddedText(text="", embedding=[]).model_dump(exclude={"text", "embedding"})

router = APIRouter(tags=["embedding"])
tei_route = partial(router.post, responses=RESPONSES)
T = TypeVar("T")


class _BackendModule(Protocol):
    @property
    def create(self) -> CreateBackend: ...


def create(settings: Settings) -> FastAPI:
    """Make the service's app; its encoder and backend open and close with it, at `app.state`."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        metrics = EmbeddingMetrics(app.state.metrics)
        shared = SharedCache(settings.cache_url, settings.cache_seconds) if settings.cache_url else None
        cache = EmbeddingCache(settings.cache_bytes, shared, metrics.count_lookups)
        backend = await cast(_BackendModule, load(PACKAGE, settings.backend)).create()
        metrics.watch(backend, lambda: cache.memory_bytes)
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


@router.get("/info", summary="TEI: the model and its limits")
async def info(request: Request) -> EmbeddingInfo:
    return await Call(request).info()


@tei_route("/", response_model=list[list[float]], summary="TEI: the same as /embed")
@tei_route("/embed", response_model=list[list[float]], summary="TEI: one vector per text")
async def embed(request: Request, body: EmbedRequest) -> Response:
    embedded, _ = await Call(request).encode(body.inputs, _read_options(body), dimensions=body.dimensions)
    return json_reply(embedded.vectors)


@tei_route(
    "/embed_all",
    response_model=list[list[list[float]]],
    summary="TEI: the last hidden state of every token, special ones included, not normalised",
)
async def embed_all(request: Request, body: EmbedRequest) -> Response:
    call = Call(request)
    inputs, info = await call.read_texts(body.inputs), await call.encoder.info()
    if not info.token_vectors:
        raise InvalidRequest(f"{info.model_id} behind this service gives no token vectors: use /embed")
    encoded = await call.run(call.encoder.states(inputs, _read_options(body)), info)
    return json_reply(encoded.states)


@tei_route("/tokenize", response_model=list[list[Token]], summary="TEI: tokens, with offsets in characters")
async def tokenize(request: Request, body: TokenizeRequest) -> Response:
    """Nothing is truncated. 501 where the backend has no tokenizer to ask."""
    call = Call(request)
    texts = await call.encoder.add_prefix(call.check_texts(body.inputs), body.prompt_name)
    tokens = call.backend.tokenize(texts, add_special_tokens=body.add_special_tokens)
    async with within_deadline("tokenization", service=SERVICE):
        return json_reply(await until_disconnected(request, tokens))


@tei_route("/decode", response_model=list[str], summary="TEI: the texts that token ids stand for")
async def decode(request: Request, body: DecodeRequest) -> Response:
    """501 where the backend has no tokenizer to ask."""
    ids = list_ids(body.ids)
    return json_reply(await Call(request).decode(ids, skip_special_tokens=body.skip_special_tokens))


@router.post(
    "/v1/embeddings",
    response_model=OpenAIEmbeddingReply | EmbeddedText,
    summary="OpenAI: one vector per text; OPEA's older form with `text` is answered in OPEA's",
)
async def embeddings(request: Request, body: OpenAIEmbeddingRequest) -> Response:
    """No prefix is put before the texts: OpenAI's protocol does not say which of them are queries.

    Token ids are those of the model's own tokenizer.
    """
    call = Call(request)
    options = EmbedOptions(truncate=call.settings.auto_truncate)
    embedded, model = await call.encode(body.input, options, dimensions=body.dimensions)
    if body.text is not None:
        vectors = embedded.vectors[0] if isinstance(body.text, str) else embedded.vectors
        return json_reply({"text": body.text, "embedding": vectors, **OPEA_SEARCH})
    return make_openai_reply(embedded, model, as_base64=body.encoding_format == "base64")


@router.post("/v1/encode", response_model=EncodeReply, summary="Vectors and int8 token vectors in one pass")
async def encode(request: Request, body: EncodeRequest) -> Response:
    options = EmbedOptions(truncate=body.truncate, prompt=body.prompt_name, token_vectors=body.token_vectors)
    embedded, model = await Call(request).encode(body.inputs, options)
    # megabytes of token vectors: not on the event loop
    return await asyncio.to_thread(make_encode_reply, embedded, model, packed=accepts_packed(request))


def _read_options(body: EmbedRequest) -> EmbedOptions:
    return EmbedOptions(body.normalize, body.truncate, body.truncation_direction, body.prompt_name)


def json_reply(content: object) -> Response:
    """Make a reply of `application/json`; arrays of numpy may be anywhere inside `content`."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


def make_encode_reply(embedded: EmbeddedTexts, model: str, *, packed: bool) -> Response:
    """Make an `EncodeReply`, in MessagePack where `packed`."""
    vectors = None
    if embedded.token_vectors is not None:
        vectors = [_token_vectors(rows, as_text=not packed) for rows in embedded.token_vectors]
    dim = embedded.vectors.shape[1]
    content = {"model": model, "dim": dim, "embeddings": embedded.vectors, "token_vectors": vectors}
    return PackedReply(content) if packed else json_reply(content)


def _token_vectors(rows: NDArray[np.int8], *, as_text: bool) -> dict[str, object]:
    """Make the `TokenVectors` of a text's int8 (tokens, dim)."""
    tokens, dim = rows.shape
    data = rows.tobytes()
    return {"tokens": tokens, "dim": dim, "data": base64.b64encode(data).decode() if as_text else data}


def make_openai_reply(embedded: EmbeddedTexts, model: str, *, as_base64: bool) -> Response:
    """Make an `OpenAIEmbeddingReply`; base64 is that of little-endian float32."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector,
        }
        for index, vector in enumerate(embedded.vectors)
    ]
    usage = {"prompt_tokens": embedded.prompt_tokens, "total_tokens": embedded.prompt_tokens}
    return json_reply({"object": "list", "data": data, "model": model, "usage": usage})
