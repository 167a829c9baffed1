"""A guard model behind an OpenAI-compatible chat endpoint: Llama Guard, Granite Guardian and their like.

They say `safe` or `unsafe` with categories, or `Yes` and `No` to whether there is a risk; the tags of a score
around that are left out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import orjson
from pydantic import Field, TypeAdapter

from services.core.client import HttpClient
from services.core.errors import ServiceError
from services.core.guards.backends._server import ServerSettings
from services.core.guards.guard import Place
from services.core.wire.base import Wire
from services.core.wire.encoding import decode

AT_A_TIME = 4
TOKENS = 32

_WORD = re.compile(r"[a-z]+")
_TAG = re.compile(r"<[^>]*>")
_CATEGORY = re.compile(r"\bS\d{1,2}\b")


class Settings(ServerSettings):
    """Which model it is."""

    model_id: str = Field(
        "", validation_alias="GUARD_MODEL_ID", description="openai: the guard model's id at its server"
    )


class _Message(Wire):
    content: str | None = None


class _Choice(Wire):
    message: _Message


class _Reply(Wire):
    choices: list[_Choice] = Field(min_length=1)


_REPLY = TypeAdapter(_Reply)


class ModelGuard:
    """Shows each text to the model as a turn of a conversation, and reads its verdict."""

    def __init__(self, http: HttpClient, model: str) -> None:
        self._http = http
        self._model = model
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def judge(self, texts: Sequence[str], place: Place, question: str) -> list[str]:
        return list(await asyncio.gather(*(self._judge(text, place, question) for text in texts)))

    async def _judge(self, text: str, place: Place, question: str) -> str:
        turns = [{"role": "user", "content": text}]
        if place == "answers":
            turns = [{"role": "user", "content": question or "?"}, {"role": "assistant", "content": text}]
        request = {"model": self._model, "messages": turns, "temperature": 0, "max_tokens": TOKENS}
        async with self._slots:
            body = await self._http.post("/v1/chat/completions", orjson.dumps(request), idempotent=True)
        return read_verdict(decode(_REPLY, body, "guard").choices[0].message.content or "")

    async def ready(self) -> None:
        await self._http.ready()

    async def close(self) -> None:
        await self._http.aclose()


def read_verdict(reply: str) -> str:
    """Read a guard model's reply.

    Returns:
        Why the text is forbidden; empty where it is not.

    Raises:
        ServiceError: The reply is no verdict.
    """
    bare = _TAG.sub(" ", reply)
    word = _WORD.search(bare.lower())
    match word.group() if word else "":
        case "safe" | "no":
            return ""
        case "unsafe":
            return ", ".join(["unsafe", *_CATEGORY.findall(bare)])
        case "yes":
            return "unsafe"
    raise ServiceError(f"the guard model's reply is no verdict: {reply.strip()[:80]!r}", service="guard")


async def create() -> ModelGuard:
    settings = Settings.load()
    return ModelGuard(settings.client(), settings.model_id)
