"""A real llama.cpp HTTP server behind the `openai` engine, as anyone would point it there.

The contract suite runs the `llamaserver` engine against the same server.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from services.core.errors import ContextLengthExceeded
from services.generation.backend import Prompt
from services.generation.backends.openai import OpenAIEngine, create
from services.generation.entries import ModelEntry
from tests.contract.conftest import LLAMA_CONTEXT
from tests.own_time import OwnTime

WITHIN = 1.0


def ask(text: str, max_tokens: int = 16) -> Prompt:
    return Prompt((("user", text),), max_tokens=max_tokens, temperature=0.0, top_p=1.0)


async def engine(url: str) -> OpenAIEngine:
    return await create(ModelEntry(name="tiny", engine="openai", endpoint=url, model_id="any"))


async def busy(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/slots") as reply:
        return any(slot["is_processing"] for slot in await reply.json())


async def test_streams_with_usage_and_reason(llama_server: str) -> None:
    subject = await engine(llama_server)
    await subject.ready()
    *steps, last = [delta async for delta in subject.generate(ask("List three colours."))]
    assert len(steps) >= 8
    assert last.finish_reason == "length"
    assert last.tokens is not None
    assert last.tokens.completion == 16
    assert last.tokens.prompt > 8
    await subject.close()


async def test_a_short_answer_ends_by_itself(llama_server: str) -> None:
    subject = await engine(llama_server)
    *_, last = [delta async for delta in subject.generate(ask("What is 2+2? Answer briefly.", 400))]
    assert last.finish_reason == "stop"
    await subject.close()


async def test_streams_in_quick_succession(llama_server: str) -> None:
    """The server closes each connection without a word; a pooled one may be dead already."""
    subject = await engine(llama_server)
    for length in (1, 2, 1, 3, 1, 2, 1, 1):
        *_, last = [delta async for delta in subject.generate(ask("Hello", length))]
        assert last.tokens is not None
        assert last.tokens.completion == length
    await subject.close()


async def test_hanging_up_stops_the_server(llama_server: str) -> None:
    subject = await engine(llama_server)
    stream = subject.generate(ask("Write a very long story about the sea.", 3000))
    for _ in range(3):
        await anext(stream)
    assert await busy(llama_server)
    clock = OwnTime()
    await stream.aclose()
    while await busy(llama_server):
        await asyncio.sleep(0.02)
        assert clock.seconds() < WITHIN, "the server still generates"
    await subject.close()


async def test_a_prompt_that_does_not_fit(llama_server: str) -> None:
    subject = await engine(llama_server)
    with pytest.raises(ContextLengthExceeded, match=f"{LLAMA_CONTEXT} tokens"):
        await anext(subject.generate(ask("bees " * LLAMA_CONTEXT)))
    await subject.close()
