"""One trace over every hop, as a collector receives it: ids, parents and the GenAI attributes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
import orjson
import pytest
from fastapi import FastAPI, Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.types import ASGIApp

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings

Serve = Callable[[ASGIApp], str]
QUESTION = "What do bees make?"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Seen:
    """A span as it was exported."""

    service: str
    span: Span

    @property
    def attributes(self) -> dict[str, object]:
        return {pair.key: _value(pair.value) for pair in self.span.attributes}

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()


def _value(value) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


@dataclass
class Collector:
    """An OTLP/HTTP collector that keeps what it is sent."""

    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/traces")
        async def traces(request: Request) -> None:
            sent = ExportTraceServiceRequest.FromString(await request.body())
            for resource in sent.resource_spans:
                names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                with self.lock:
                    self.seen += [
                        Seen(names["service.name"], span)
                        for scope in resource.scope_spans
                        for span in scope.spans
                    ]

        return app

    async def trace(self, trace_id: str, count: int) -> list[Seen]:
        """The trace's spans, once there are as many as `count`."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            with self.lock:
                found = [one for one in self.seen if one.trace == trace_id]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"only {[(one.service, one.span.name) for one in found]}")


@dataclass(frozen=True)
class Chain:
    url: str
    collector: Collector
    ports: dict[str, int]


@pytest.fixture(scope="module")
def chain(serve: Serve) -> Iterator[Chain]:
    """Five services and an engine's server, each with a tracer of its own."""
    collector = Collector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        patch.setenv("FAKE_REASONING_TOKENS", "3")
        otlp = serve(collector.app())
        embedding = serve(create_embedding(EmbeddingSettings(backend="fake", otlp_endpoint=otlp)))
        retrieval = serve(create_retrieval(RetrievalSettings(vector_url="memory://", otlp_endpoint=otlp)))
        reranking = serve(create_reranking(RerankingSettings(backend="fake", otlp_endpoint=otlp)))
        engine = serve(create_generation(GenerationSettings(engine="fake", otlp_endpoint=otlp)))
        entries = [
            {"name": "main", "engine": "openai", "endpoint": engine, "model_id": "fake"},
            {"name": "dead", "engine": "openai", "endpoint": "http://127.0.0.1:9", "model_id": "gone"},
            {
                "name": "backed",
                "engine": "openai",
                "endpoint": "http://127.0.0.1:9",
                "model_id": "gone",
                "fallback": ["main"],
            },
        ]
        backends = orjson.dumps(entries).decode()
        generation = serve(create_generation(GenerationSettings(backends=backends, otlp_endpoint=otlp)))
        urls = {
            "embedding": embedding,
            "retrieval": retrieval,
            "reranking": reranking,
            "generation": generation,
        }
        settings = GatewaySettings(
            floor=0, otlp_endpoint=otlp, **{f"{name}_url": url for name, url in urls.items()}
        )
        asyncio.run(_fill(embedding, retrieval))
        ports = {name: int(url.rsplit(":", 1)[1]) for name, url in {**urls, "engine": engine}.items()}
        yield Chain(serve(create_gateway(settings)), collector, ports)


async def _fill(embedding: str, retrieval: str) -> None:
    texts = ["Bees make honey.", "Ants dig tunnels."]
    passages = [Passage(id=f"p{n}", document_id="d", text=text) for n, text in enumerate(texts)]
    async with HttpClient("embedding", embedding) as one, HttpClient("retrieval", retrieval) as other:
        encoded = await EmbeddingClient(one).encode(texts, token_vectors=False)
        stored = [
            StoredPassage(passage=passage, vector=vector)
            for passage, vector in zip(passages, encoded.embeddings, strict=True)
        ]
        await RetrievalClient(other).upsert("default", encoded.model, stored)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, chain: Chain, trace: str, *, stream: bool, model: str = ""
) -> aiohttp.ClientResponse:
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": stream, "model": model}
    headers = {"traceparent": f"00-{trace}-{CALLER}-01"}
    async with session.post(f"{chain.url}/v1/chat/completions", json=body, headers=headers) as reply:
        await reply.read()
    return reply


PARENTS = {
    ("ragline-gateway", "POST /v1/chat/completions"): None,
    ("ragline-gateway", "embedding"): ("ragline-gateway", "POST /v1/chat/completions"),
    ("ragline-gateway", "retrieval"): ("ragline-gateway", "POST /v1/chat/completions"),
    ("ragline-gateway", "reranking"): ("ragline-gateway", "POST /v1/chat/completions"),
    ("ragline-gateway", "selection"): ("ragline-gateway", "POST /v1/chat/completions"),
    ("ragline-gateway", "chat main"): ("ragline-gateway", "POST /v1/chat/completions"),
    ("ragline-embedding", "POST /embed"): ("ragline-gateway", "embedding"),
    ("ragline-retrieval", "POST /v1/retrieval"): ("ragline-gateway", "retrieval"),
    ("ragline-reranking", "POST /v1/reranking"): ("ragline-gateway", "reranking"),
    ("ragline-reranking", "POST /v1/sentences"): ("ragline-gateway", "selection"),
    ("ragline-generation", "POST /v1/chat/completions"): ("ragline-gateway", "chat main"),
    ("ragline-embedding", "embed"): ("ragline-embedding", "POST /embed"),
    ("ragline-retrieval", "search"): ("ragline-retrieval", "POST /v1/retrieval"),
    ("ragline-reranking", "rerank"): ("ragline-reranking", "POST /v1/reranking"),
    ("ragline-generation", "chat fake"): ("ragline-generation", "POST /v1/chat/completions"),
}


@pytest.mark.parametrize("stream", [False, True])
async def test_one_trace_over_every_hop(session: aiohttp.ClientSession, chain: Chain, stream: bool) -> None:
    trace = TRACE[:-1] + str(int(stream))
    reply = await ask(session, chain, trace, stream=stream, model="main")
    assert reply.status == 200
    # the engine's server is a generation service as well: two more spans, below the first one's chat
    spans = await chain.collector.trace(trace, len(PARENTS) + 2)
    by_id = {one.span.span_id: one for one in spans}
    found = {}
    for one in spans:
        parent = by_id.get(one.span.parent_span_id)
        if parent is None:
            assert one.span.parent_span_id.hex() == CALLER
        if parent is not None and (parent.service, parent.span.name) == ("ragline-generation", "chat fake"):
            assert (one.service, one.span.name) == ("ragline-generation", "POST /v1/chat/completions")
            continue
        found[one.service, one.span.name] = parent and (parent.service, parent.span.name)
    assert found == PARENTS


async def test_genai_attributes(session: aiohttp.ClientSession, chain: Chain) -> None:
    trace = TRACE[:-1] + "a"
    await ask(session, chain, trace, stream=True, model="main")
    spans = await chain.collector.trace(trace, len(PARENTS) + 2)
    named = {(one.service, one.span.name): one for one in spans}
    gateway = named["ragline-gateway", "chat main"].attributes
    calls = [one.attributes for one in spans if one.span.name == "chat fake"]
    [service] = [call for call in calls if call["gen_ai.provider.name"] == "openai"]
    for attributes in (gateway, service):
        assert attributes["gen_ai.usage.input_tokens"] > 10  # type: ignore[operator]
        assert attributes["gen_ai.usage.output_tokens"] >= 3  # type: ignore[operator]
        assert attributes["gen_ai.usage.reasoning.output_tokens"] == 3
        assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
        assert attributes["gen_ai.operation.name"] == "chat"
        assert attributes["server.address"] == "127.0.0.1"
    assert gateway["server.port"] == chain.ports["generation"]
    assert gateway["gen_ai.response.model"] == "main"
    assert service["server.port"] == chain.ports["engine"]
    assert service["ragline.model_entry"] == "main"
    assert service["gen_ai.request.model"] == service["gen_ai.response.model"] == "fake"
    assert isinstance(service["gen_ai.request.temperature"], float)
    for stage, operation in (
        ("embedding", "embeddings"),
        ("retrieval", "retrieval"),
        ("reranking", "rerank"),
    ):
        attributes = named["ragline-gateway", stage].attributes
        assert attributes["gen_ai.operation.name"] == operation
        assert attributes["server.port"] == chain.ports[stage]


async def test_a_failure_is_one_in_the_trace(session: aiohttp.ClientSession, chain: Chain) -> None:
    trace = TRACE[:-1] + "b"
    reply = await ask(session, chain, trace, stream=True, model="dead")
    assert reply.status == 503
    spans = await chain.collector.trace(trace, len(PARENTS))
    [call] = [one for one in spans if one.span.name == "chat gone"]
    assert call.attributes["error.type"] == "service_unavailable"
    assert call.span.status.code == call.span.status.STATUS_CODE_ERROR
    assert "openai is down" in call.span.status.message


@pytest.mark.parametrize("stream", [False, True])
async def test_the_gateway_passes_on_who_answered(
    session: aiohttp.ClientSession, chain: Chain, stream: bool
) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "model": "backed", "stream": stream}
    async with session.post(f"{chain.url}/v1/chat/completions", json=body) as reply:
        raw = await reply.read()
    assert reply.headers["x-ragline-fallback"] == "backed -> main"
    timed = {part.split(";")[0] for part in reply.headers["server-timing"].split(", ")}
    assert timed >= {"embedding", "retrieval", "reranking", "ttft"}
    assert ("e2el" in timed) is not stream
    if not stream:
        answer = orjson.loads(raw)
        assert (answer["model"], answer["degraded"]) == ("main", ["generation:backed"])
        assert answer["choices"][0]["message"]["content"]
        return
    chunks = [orjson.loads(line[6:]) for line in raw.split(b"\n\n") if line.startswith(b"data: {")]
    assert {chunk["model"] for chunk in chunks} == {"main"}
    assert [chunk["degraded"] for chunk in chunks if "degraded" in chunk] == [["generation:backed"]]


async def test_the_gateway_passes_on_the_models(session: aiohttp.ClientSession, chain: Chain) -> None:
    async with session.get(f"{chain.url}/v1/models") as reply:
        models = {model["id"]: model for model in (await reply.json())["data"]}
    assert models["backed"]["fallback"] == ["main"]
    assert models["main"]["capabilities"]["native_reasoning"]
