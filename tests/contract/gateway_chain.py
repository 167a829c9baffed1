"""A gateway over services that compute nothing, and an engine whose replies go by the model's name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
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

QUESTION = "What do bees make?"
TEXTS = ["Bees make honey. <script>alert(1)</script>", "Ants dig tunnels."]
IDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(len(TEXTS))]
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
LOGPROBS = {"content": [{"token": "Honey", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
CALLS = [
    {"index": 0, "id": "call-1", "type": "function", "function": {"name": "weigh", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"what": '}},
    {"index": 0, "function": {"arguments": '"bee"}'}},
]


class ScriptedEngine:
    """An OpenAI-compatible server that keeps what it was sent.

    `thinker` thinks until a limit and does not count how much, `caller` calls a tool, others answer.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self.complete)
        self.app.get("/v1/models")(self.models)

    async def models(self) -> Response:
        return JSONResponse({"object": "list", "data": []})

    async def complete(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        self.bodies.append(body)
        reason = {"thinker": "length", "caller": "tool_calls"}.get(body["model"], "stop")
        choices = [*_deltas(body["model"]), _choice({}, reason)]
        events = [*({"choices": [choice]} for choice in choices), {"choices": [], "usage": USAGE}]
        lines = [f"data: {orjson.dumps(event).decode()}\n\n" for event in events]
        return Response("".join([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")


def _deltas(model: str) -> list[dict[str, Any]]:
    if model == "thinker":
        return [_choice({"content": "<think>"}), _choice({"content": "Hm, hm"})]
    if model == "caller":
        return [_choice({"content": None, "tool_calls": [call]}) for call in CALLS]
    return [_choice({"content": "Honey"}, logprobs=LOGPROBS), _choice({"content": " it is."})]


def _choice(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason, **fields}


def start_gateway(
    serve: Callable[[ASGIApp], str], engine: ScriptedEngine, models: Sequence[str], **settings: Any
) -> str:
    """Start the services: `small` echoes a passage, the other entries are the models of the engine."""
    urls = {
        "embedding_url": serve(create_embedding(EmbeddingSettings(backend="fake"))),
        "retrieval_url": serve(create_retrieval(RetrievalSettings(vector_url="memory://"))),
        "reranking_url": serve(create_reranking(RerankingSettings(backend="fake"))),
    }
    endpoint = serve(engine.app)
    entries: list[dict[str, Any]] = [
        {"name": "small", "engine": "fake", "model_id": "fake", "aliases": ["tiny"]}
    ]
    entries += [{"name": name, "engine": "openai", "endpoint": endpoint, "model_id": name} for name in models]
    backends = orjson.dumps(entries).decode()
    urls["generation_url"] = serve(create_generation(GenerationSettings(backends=backends)))
    asyncio.run(_fill(urls["embedding_url"], urls["retrieval_url"]))
    return serve(create_gateway(GatewaySettings(**{"floor": 0, **urls, **settings})))


async def _fill(embedding: str, retrieval: str) -> None:
    passages = [
        Passage(id=name, document_id="d", title="insects.md", text=text, end=len(text))
        for name, text in zip(IDS, TEXTS, strict=True)
    ]
    async with HttpClient("embedding", embedding) as one, HttpClient("retrieval", retrieval) as other:
        encoded = await EmbeddingClient(one).encode(TEXTS, token_vectors=False)
        stored = [
            StoredPassage(passage=passage, vector=vector)
            for passage, vector in zip(passages, encoded.embeddings, strict=True)
        ]
        await RetrievalClient(other).upsert("default", encoded.model, stored)
