"""The client of generation: which ends of a stream are an answer's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest

from services.core.client import Body, HttpClient
from services.core.clients import generation
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.errors import DeadlineExceeded, RaglineError, ServiceError, ServiceUnavailable
from services.core.sse import Event
from services.core.wire.chat import ChatMessage

TEXT = b'{"model": "m", "choices": [{"delta": {"content": "hi"}}]}'
FINISH = b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}'
USAGE = b'{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}'
DONE = b"[DONE]"
HANG = 60.0

Step = bytes | float | RaglineError


class Http(HttpClient):
    """Streams these events; a number is a wait, an exception is raised."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__("generation", "http://unused")
        self.steps = steps
        self.idempotent = False
        self.is_closed = False

    async def stream(
        self,
        path: str,
        payload: Body | None,
        *,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = False,
    ) -> AsyncGenerator[Event]:
        self.idempotent = idempotent
        try:
            for step in self.steps:
                if isinstance(step, RaglineError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield Event(step)
        finally:
            self.is_closed = True


async def chat(http: Http) -> list[ChatDelta]:
    return [delta async for delta in GenerationClient(http).chat([ChatMessage(role="user", content="q")])]


@pytest.mark.parametrize(
    "steps",
    [
        [TEXT, FINISH, USAGE, DONE],
        [TEXT, FINISH, USAGE, DONE, TEXT],
        [TEXT, FINISH, USAGE],
        [TEXT, FINISH, USAGE, HANG],
        [TEXT, FINISH, USAGE, DONE, HANG],
        [TEXT, FINISH, USAGE, ServiceError("generation broke off its reply")],
        [TEXT, FINISH, USAGE, DeadlineExceeded("generation did not answer before the deadline")],
    ],
)
async def test_an_answer_with_its_finish_reason_is_kept(
    steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "LAST_SECONDS", 0.1)
    http = Http(steps)
    deltas = await asyncio.wait_for(chat(http), 30)
    assert [delta.content for delta in deltas] == ["hi", "", ""]
    assert [delta.finish_reason for delta in deltas] == [None, "stop", None]
    assert deltas[-1].usage is not None
    assert http.is_closed


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "before it was done"),
        ([TEXT], "before it was done"),
        ([TEXT, ServiceError("generation broke off its reply")], "broke off"),
        ([TEXT, b'{"error": {"message": "CUDA out of memory"}}', DONE], "CUDA out of memory"),
        ([b'{"error": "no room"}', DONE], "no room"),
        ([b"<html>", DONE], "not OpenAI's"),
    ],
)
async def test_what_breaks_off_before_is_no_answer(steps: Sequence[Step], words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        await chat(Http(steps))


async def test_our_own_error_in_place_of_a_chunk_keeps_its_name() -> None:
    error = b'{"error": {"type": "t", "code": "service_unavailable", "message": "the engine died"}}'
    with pytest.raises(ServiceUnavailable, match="the engine died"):
        await chat(Http([error]))


async def test_asking_twice_is_allowed() -> None:
    http = Http([FINISH])
    await chat(http)
    assert http.idempotent
