"""A gateway over services that cost nothing, and an engine whose replies are as varied as engines are.

Run as a module it prints the gateway's address, and serves until its standard input ends: for clients that live in an
environment of their own, without Ragline.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
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
from tests.clients.expected import ANSWER, THOUGHT
from tests.contract.conftest import running

DOCUMENT = (
    b"# Honey\n\nBees make honey out of nectar in the summer.\n\n# Wax\n\nBees build their combs of wax.\n"
)


NOWHERE = "http://127.0.0.1:9"
ENTRIES = {
    "plain": "an answer with a citation",
    "thinking": "thinking in its own field, then the answer",
    "tagged": "thinking between tags",
    "uncounted": "no usage",
    "cut": "an answer that the length limit cut",
    "thoughts": "thinking only, cut by the length limit",
    "filtered": "an answer that the server's filter ended",
    "unknown": "a finish reason that nobody knows",
    "refusing": "a refusal in its own field",
    "tooled": "a tool call where tools are given",
    "failing": "status 500",
    "busy": "status 429",
}
"""The engine's models, by what they do; each is a model entry of the same name. `down` is one that is not there."""


def engine() -> Starlette:
    """Make the engine: OpenAI's chat completions, streamed or not."""

    async def chat(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        kind = asked["model"]
        if kind in {"failing", "busy"}:
            status, headers = (500, {}) if kind == "failing" else (429, {"retry-after": "2"})
            body = {"error": {"message": f"{kind} on purpose", "type": "server_error", "code": kind}}
            return JSONResponse(body, status, headers)
        if asked.get("stream"):
            return StreamingResponse(_stream(kind, asked), media_type="text/event-stream")
        return JSONResponse(_reply(kind, asked))

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in ENTRIES]})

    return Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)]
    )


def _deltas(kind: str, asked: dict[str, object]) -> Iterator[dict[str, object]]:
    answer = _write_json(asked) if _schema(asked) else ANSWER
    words = [{"content": word} for word in answer.partition(" ")[0:1]]
    words += [{"content": f" {word}"} for word in answer.split(" ")[1:]]
    if kind == "thinking":
        yield from ({"reasoning_content": f"{word} "} for word in THOUGHT.split())
    elif kind == "tagged":
        yield {"content": f"<think>{THOUGHT}</think>\n\n"}
    elif kind == "thoughts":
        yield from ({"reasoning_content": f"{word} "} for word in THOUGHT.split())
        return
    elif kind == "refusing":
        yield {"refusal": "I cannot help with that."}
        return
    elif kind == "tooled" and (call := _call(asked)):
        yield {"tool_calls": [{"index": 0, **call}]}
        return
    yield from words[:4] if kind in {"cut", "filtered"} else words


def _finish(kind: str, asked: dict[str, object]) -> str:
    reasons = {"cut": "length", "thoughts": "length", "filtered": "content_filter", "unknown": "eos_token"}
    return "tool_calls" if kind == "tooled" and _call(asked) else reasons.get(kind, "stop")


def _usage(kind: str) -> dict[str, object] | None:
    if kind == "uncounted":
        return None
    usage: dict[str, object] = {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52}
    return usage | ({"completion_tokens_details": {"reasoning_tokens": 5}} if kind == "thinking" else {})


async def _stream(kind: str, asked: dict[str, object]) -> AsyncGenerator[bytes]:
    identity = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": kind,
    }

    def event(choices: list[dict[str, object]], **fields: object) -> bytes:
        return b"data: " + orjson.dumps({**identity, "choices": choices, **fields}) + b"\n\n"

    yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for delta in _deltas(kind, asked):
        yield event([{"index": 0, "delta": delta, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": _finish(kind, asked)}])
    if usage := _usage(kind):
        yield event([], usage=usage)
    yield b"data: [DONE]\n\n"


def _reply(kind: str, asked: dict[str, object]) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": None}
    for delta in _deltas(kind, asked):
        for name, value in delta.items():
            message[name] = (message.get(name) or "") + value if isinstance(value, str) else value
    choice = {"index": 0, "message": message, "finish_reason": _finish(kind, asked)}
    reply = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": 1, "model": kind}
    return reply | {"choices": [choice], "usage": _usage(kind)}


def _call(asked: dict[str, object]) -> dict[str, object] | None:
    """Call the first tool, once: not where its result is there already."""
    messages: list[dict[str, object]] = asked["messages"]  # type: ignore[assignment]
    tools: list[dict[str, dict[str, object]]] = asked.get("tools") or []  # type: ignore[assignment]
    if not tools or any(message["role"] == "tool" for message in messages):
        return None
    function = tools[0]["function"]
    arguments = orjson.dumps(_fill(function.get("parameters") or {})).decode()
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _schema(asked: dict[str, object]) -> dict[str, object] | None:
    wanted: dict[str, dict[str, object]] = asked.get("response_format") or {}  # type: ignore[assignment]
    schema: dict[str, object] | None = wanted.get("json_schema", {}).get("schema")  # type: ignore[assignment]
    return schema


def _write_json(asked: dict[str, object]) -> str:
    return orjson.dumps(_fill(_schema(asked) or {})).decode()


def _fill(schema: dict[str, object]) -> object:
    """Make the simplest value that a schema allows."""
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        properties: dict[str, dict[str, object]] = schema.get("properties", {})  # type: ignore[assignment]
        return {name: _fill(value) for name, value in properties.items()}
    return {"integer": 1, "number": 1.5, "boolean": True, "array": []}.get(str(kind), "honey")


@contextmanager
def started() -> Iterator[str]:
    """Start all services, bring in the document, and give the gateway's address."""
    with ExitStack() as stack:

        def serve(app: object) -> str:
            return stack.enter_context(running(app))  # type: ignore[arg-type]

        folder = Path(stack.enter_context(TemporaryDirectory()))
        server = serve(engine())
        entries = [
            {"name": "fake", "engine": "fake", "model_id": "fake", "max_context": 4096},
            # `plain` is known not to think, and so its answer is shown as it comes
            {"name": "plain", "engine": "openai", "endpoint": server, "model_id": "plain", "profile": "none"},
            *(
                {"name": name, "engine": "openai", "endpoint": server, "model_id": name}
                for name in ENTRIES
                if name != "plain"
            ),
            {"name": "down", "engine": "openai", "endpoint": NOWHERE, "model_id": "gone"},
        ]
        urls = {
            "embedding_url": serve(create_embedding(EmbeddingSettings(backend="fake", port=6000))),
            "retrieval_url": serve(create_retrieval(RetrievalSettings(vector_url="memory://"))),
        }
        dataprep = DataprepSettings(jobs_url=f"sqlite://{folder}/jobs", parsers=1, **urls)
        urls["dataprep_url"] = serve(create_dataprep(dataprep))
        urls["reranking_url"] = serve(create_reranking(RerankingSettings(backend="fake")))
        backends = orjson.dumps(entries).decode()
        urls["generation_url"] = serve(
            create_generation(GenerationSettings(backends=backends, backend="plain"))
        )
        gateway = serve(create_gateway(GatewaySettings(floor=0, **urls)))
        files = {"files": ("honey.md", DOCUMENT)}
        httpx.post(f"{gateway}/v1/documents", files=files, timeout=60).raise_for_status()
        yield gateway


if __name__ == "__main__":
    output = os.dup(1)
    os.dup2(2, 1)  # what the services log is none of the answer
    with started() as address:
        os.write(output, f"{address}\n".encode())
        sys.stdin.read()
