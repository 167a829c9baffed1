"""Rewriting a follow-up: what the model is shown, what of its reply is taken, and what failing means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from pipelines.rewriting import TURN_LENGTH, Rewriter, standalone, transcript
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.errors import ServiceError
from services.core.wire.chat import ChatMessage
from services.core.wire.sampling import Sampling

HISTORY = (
    ChatMessage(role="system", content="Be kind."),
    ChatMessage(role="user", content="What is a sverdrup?"),
    ChatMessage(role="assistant", content="<think>oceans?</think>A unit of\nvolume transport."),
)


class Generation(GenerationClient):
    def __init__(self, *pieces: str, wait: float = 0) -> None:
        self.pieces = pieces
        self.wait = wait
        self.asked: list[tuple[str, str, Sampling | None]] = []

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str = "", sampling: Sampling | None = None
    ) -> AsyncGenerator[ChatDelta]:
        self.asked.append((messages[-1].text, model, sampling))
        await asyncio.sleep(self.wait)
        for piece in self.pieces:
            yield ChatDelta(content=piece, reasoning="hmm")


async def test_the_model_is_shown_the_conversation_without_thinking() -> None:
    generation = Generation("How big is ", "a sverdrup?")
    found = await Rewriter(generation).rewrite("How big is it?", HISTORY, model="small")
    assert found == "How big is a sverdrup?"
    ((prompt, model, sampling),) = generation.asked
    assert "User: What is a sverdrup?\nAssistant: A unit of volume transport.\n" in prompt
    assert "oceans" not in prompt
    assert "Be kind" not in prompt
    assert "Last question: How big is it?" in prompt
    assert model == "small"
    assert sampling is not None
    assert (sampling.max_reasoning_tokens, sampling.temperature) == (0, 0.0)
    assert sampling.max_tokens is not None


async def test_without_earlier_turns_nobody_is_asked() -> None:
    generation = Generation("never")
    assert await Rewriter(generation).rewrite("How big is it?", HISTORY[:1], model="") == "How big is it?"
    assert generation.asked == []


async def test_a_model_that_is_too_slow_or_says_nothing_raises() -> None:
    with pytest.raises(TimeoutError):
        await Rewriter(Generation("late", wait=5), seconds=0.01).rewrite("it?", HISTORY, model="")
    for said in ("", " \n", "A million cubic metres a second."):  # the last one answers
        with pytest.raises(ServiceError, match="no stand-alone question"):
            await Rewriter(Generation(said)).rewrite("How big is it?", HISTORY, model="")


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("How big is a sverdrup?", "How big is a sverdrup?"),
        ('"How big is a sverdrup?"\n\nIt is a million cubic metres.', "How big is a sverdrup?"),
        ("Stand-alone question: How big is it?", "How big is it?"),
        ("**Standalone question:** How big is it?", "How big is it?"),
        ("<think>What is it?</think>\nHow big is it?", "How big is it?"),
        ("they mean the unit.</think>How big is it?", "How big is it?"),
        ("<think>never closed", ""),
        ("word " * 200, ""),
        ("", ""),
    ],
)
def test_only_the_question_is_taken(reply: str, question: str) -> None:
    assert standalone(reply) == question


def test_the_transcript_is_short() -> None:
    turns = [ChatMessage(role="user", content=f"{number} " + "x" * 10_000) for number in range(20)]
    lines = transcript(turns).split("\n")
    assert len(lines) == 6
    assert lines[-1].startswith("User: 19 x")
    assert all(len(line) < TURN_LENGTH + 20 for line in lines)
    assert transcript([ChatMessage(role="assistant", content="<think>nothing said")]) == ""
