"""Six real services behind the page, with models that compute nothing and an engine whose answers are made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import orjson
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

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
from tests.contract.conftest import running

ATTACK = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
HOSTILE_NAME = "evil <b onmouseover=alert(3)>.md"
DOCUMENTS = {
    "honey.md": "# Honey 🐝\n\n🍯 Bees make honey out of nectar.\n\nThey keep it in combs of wax. 🐝\n",
    HOSTILE_NAME: f"# Attack {ATTACK}\n\nAttackers write {ATTACK} into files.\n",
    "rtl.md": "# עברית\n\nהדבורים מייצרות דבש מצוף.\n",  # noqa: RUF001 - Hebrew
}
ANSWERS = {
    "plain": ["Bees make honey", " out of **nectar**. [1]", "\n\n- one\n- two `code`\n"],
    "thinker": ["<think>", "Nectar, so", " honey.", "</think>", "Bees make honey out of nectar."],
    "hostile": [
        ATTACK,
        " [click](javascript:alert(4)) ![x](https://example.org/x.png) ",
        "`<b>`\n\n<svg onload=alert(5)>",
    ],
    "long": ["word " * 5 for _ in range(4000)],
    "broken": ["Bees make", " half of"],
}
HELD_SECONDS = 30.0


class Engine:
    """An OpenAI-compatible server whose answer goes by the model's name; its last part waits for `may_end`."""

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self.answers = answers
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self.complete)
        self.app.get("/v1/models")(self.models)
        self.may_end = Event()
        self.may_end.set()

    async def models(self) -> Response:
        return JSONResponse({"object": "list", "data": []})

    async def complete(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        return StreamingResponse(self._events(body["model"]), media_type="text/event-stream")

    async def _events(self, model: str) -> AsyncIterator[bytes]:
        pieces = self.answers[model]
        for at, piece in enumerate(pieces):
            if at == len(pieces) - 1:
                await asyncio.to_thread(self.may_end.wait, HELD_SECONDS)
            yield _event({"content": piece})
        if model == "broken":
            return
        yield _event({}, "stop")
        usage = {"prompt_tokens": 9, "completion_tokens": len(pieces), "total_tokens": 9 + len(pieces)}
        yield b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"


def _event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


@contextmanager
def serve_page(folder: Path, answers: Mapping[str, Sequence[str]] = ANSWERS) -> Iterator[tuple[str, Engine]]:
    """Start the services, and bring some documents; yields the gateway's address and the engine.

    `answers` are the parts that each model entry streams.
    """
    engine = Engine(answers)
    with ExitStack() as stack:
        endpoint = stack.enter_context(running(engine.app))
        entries = [
            {
                "name": name,
                "engine": "openai",
                "endpoint": endpoint,
                "model_id": name,
                "max_context": 8192,
                # what is known not to think is shown as it comes
                "profile": {"thinker": "", "tags": "tags"}.get(name, "none"),
            }
            for name in answers
        ]
        apps = {
            "embedding": create_embedding(EmbeddingSettings(backend="fake")),
            "retrieval": create_retrieval(RetrievalSettings(vector_url="memory://")),
            "reranking": create_reranking(RerankingSettings(backend="fake")),
            "generation": create_generation(GenerationSettings(backends=orjson.dumps(entries).decode())),
        }
        urls = {f"{name}_url": stack.enter_context(running(app)) for name, app in apps.items()}
        peers = {name: urls[name] for name in ("embedding_url", "retrieval_url")}
        dataprep = create_dataprep(DataprepSettings(jobs_url=f"sqlite://{folder}/jobs", parsers=1, **peers))
        urls["dataprep_url"] = stack.enter_context(running(dataprep))
        url = stack.enter_context(
            running(
                create_gateway(
                    GatewaySettings(floor=0, top_n=3, feedback_url=f"sqlite://{folder}/votes", **urls)
                )
            )
        )
        for name, text in DOCUMENTS.items():
            httpx.post(
                f"{url}/v1/documents", files={"files": (name, text.encode())}, timeout=60
            ).raise_for_status()
        yield url, engine
