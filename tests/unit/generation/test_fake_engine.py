"""The engine that computes nothing."""

from __future__ import annotations

import time

import pytest

from services.core.errors import ContextLengthExceeded
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.fake import FakeEngine, Settings, answer
from services.generation.entries import ModelEntry
from tests.own_time import OwnTime

RAG = (
    "Passages:\n\n[1] Handbook > Bees\nBees make honey from nectar. They dance.\n\n[2] Ants\nAnts dig."
    "\n\nQuestion: What do bees make?"
)


def ask(text: str = RAG, **changes: object) -> Prompt:
    values = {"max_tokens": 100, "temperature": 0.0, "top_p": 1.0, **changes}
    return Prompt(messages=(("user", text),), **values)  # type: ignore[arg-type]


async def run(prompt: Prompt, **settings: float) -> list[Delta]:
    engine = FakeEngine(ModelEntry(name="fake", engine="fake", max_context=256), Settings(**settings))  # type: ignore[arg-type]
    return [delta async for delta in engine.generate(prompt)]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.content for delta in deltas)


async def test_cites_the_first_sentence_of_the_first_passage() -> None:
    deltas = await run(ask())
    assert text(deltas) == "Bees make honey from nectar. [1]"
    assert deltas[-1].finish_reason == "stop"
    assert text(await run(ask())) == text(deltas)


async def test_without_passages_it_echoes() -> None:
    assert text(await run(ask("Say something"))) == "Say something"


async def test_exact_length() -> None:
    assert len(answer(ask(), 200)) == 200
    *_, last = await run(ask(max_tokens=500), tokens=200)
    assert last.tokens == TokenCounts(prompt=len(RAG.split()), completion=200)


async def test_reasoning_comes_first_and_is_counted() -> None:
    deltas = await run(ask(max_tokens=5), reasoning=3)
    assert [bool(delta.reasoning) for delta in deltas[:5]] == [True] * 3 + [False] * 2
    assert deltas[-1] == Delta(
        finish_reason="length", tokens=TokenCounts(prompt=len(RAG.split()), completion=5, reasoning=3)
    )


async def test_stop_string() -> None:
    deltas = await run(ask(stop=("from",)))
    assert text(deltas) == "Bees make honey "
    assert deltas[-1].finish_reason == "stop"


async def test_rate_and_delay() -> None:
    start, clock = time.perf_counter(), OwnTime()
    await run(ask(max_tokens=500), tokens=10, rate=100, delay=0.1)
    assert time.perf_counter() - start >= 0.19
    assert clock.seconds() < 0.4


async def test_its_context_has_a_limit_too() -> None:
    with pytest.raises(ContextLengthExceeded):
        await run(ask("word " * 256))
