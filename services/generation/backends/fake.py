"""A deterministic engine that computes nothing: for load tests of everything around the model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace
from itertools import cycle, islice
from typing import Literal

from pydantic import Field

from services.core.errors import ContextLengthExceeded
from services.core.settings import Settings as BaseSettings
from services.core.wire.chat import FinishReason
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.entries import ModelEntry
from services.generation.text import StopScanner

CAPABILITIES = Capabilities(seed=True, native_reasoning=True, continuation=True, switch=True)

Format = Literal[
    "field",
    "tags",
    "prefilled",
    "unclosed",
    "nested",
    "repeated",
    "mixed",
    "quoted",
    "unanswered",
    "stubborn",
    "granite",
    "harmony",
]

_FIELDED = {"field", "mixed"}
_TAGS: Mapping[str, tuple[str, str]] = {
    "granite": ("Here is my thought process:", "Here is my response:"),
    "harmony": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
}

_PASSAGE = re.compile(r"\[1\][:\s]*(?P<text>[^\[]+)")
_SENTENCE = re.compile(r"(?P<sentence>.+?[.!?])(\s|$)", re.DOTALL)


class Settings(BaseSettings):
    rate: float = Field(
        0,
        ge=0,
        validation_alias="FAKE_TOKENS_PER_SECOND",
        description="fake: speed of its answers; 0: no delay",
    )
    tokens: int = Field(
        0,
        ge=0,
        validation_alias="FAKE_TOKENS",
        description="fake: length of its answers; 0: one cited sentence from the prompt's first passage",
    )
    reasoning: int = Field(
        0,
        ge=0,
        validation_alias="FAKE_REASONING_TOKENS",
        description="fake: tokens of reasoning before the answer",
    )
    reasoning_format: Format = Field(
        "field",
        validation_alias="FAKE_REASONING_FORMAT",
        description="fake: how its reasoning comes: field, tags, prefilled (no opener), unclosed, nested, "
        "repeated, mixed (field and tags), quoted (tags in the answer's code), unanswered, stubborn "
        "(unanswered, also where it shall not think), granite, harmony",
    )
    continuation: bool = Field(
        False,
        validation_alias="FAKE_CONTINUATION",
        description="fake: it can go on where the assistant's turn has begun",
    )
    delay: float = Field(
        0, ge=0, validation_alias="FAKE_TTFT_SECONDS", description="fake: seconds until the first token"
    )


class FakeEngine:
    """A token is a word with the space before it. The same prompt always gives the same answer."""

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self.capabilities = replace(
            CAPABILITIES,
            native_reasoning=settings.reasoning_format in _FIELDED,
            continuation=settings.continuation,
            prefills=None if settings.reasoning_format == "prefilled" else False,
        )
        self._entry = entry
        self._settings = settings

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        size = sum(len(text.split()) for _, text in (*prompt.messages, ("assistant", prompt.prefix)))
        if size >= self._entry.max_context:
            raise ContextLengthExceeded(
                f"the prompt has {size} tokens, model {self._entry.name} takes "
                f"{self._entry.max_context}: send less",
                service="fake",
            )
        plan = self._plan(prompt)
        scanner = StopScanner(prompt.stop)
        spent = reasoning = 0
        await asyncio.sleep(self._settings.delay)
        for delta in plan[: prompt.max_tokens]:
            spent += 1
            reasoning += bool(delta.reasoning)
            text = scanner.push(delta.content)
            if delta.reasoning or text:
                yield Delta(content=text, reasoning=delta.reasoning)
            if scanner.stopped:
                break
            if self._settings.rate:
                await asyncio.sleep(1 / self._settings.rate)
        reason: FinishReason = "length" if spent < len(plan) and not scanner.stopped else "stop"
        counts = TokenCounts(prompt=size, completion=spent, reasoning=reasoning)
        yield Delta(content=scanner.flush(), finish_reason=reason, tokens=counts)

    def _plan(self, prompt: Prompt) -> list[Delta]:
        """Plan one delta for each token, as a model that thinks in this format would emit them."""
        kind, tokens = self._settings.reasoning_format, answer(prompt, self._settings.tokens)
        thoughts = ["Thinking", *[" on"] * (self._settings.reasoning - 1)][: self._settings.reasoning]
        opener, closer = _TAGS.get(kind, ("<think>", "</think>"))
        silent = prompt.prefix.rstrip().endswith(closer) if prompt.prefix else prompt.thinking is False
        if not thoughts or (silent and kind != "stubborn"):
            return [Delta(content=token) for token in tokens]
        if kind == "field" and not prompt.prefix:
            return [
                *(Delta(reasoning=token) for token in thoughts),
                *(Delta(content=token) for token in tokens),
            ]
        opened = [] if prompt.prefix or kind == "prefilled" else [f"{opener}\n"]
        closed = [f"\n{closer}", "\n\n"]
        block = [*opened, *thoughts, *closed]
        if kind == "mixed":
            return [Delta(reasoning=thoughts[0]), *(Delta(content=token) for token in (*block, *tokens))]
        shapes: Mapping[str, list[str]] = {
            "unclosed": [*opened, *thoughts],
            "nested": [*opened, thoughts[0], "<think>", *thoughts[1:], "</think>", *closed, *tokens],
            "repeated": [*block, *block, *tokens],
            "quoted": [*block, "`<think>`", " and", " `</think>`:", " ", *tokens],
            "unanswered": block,
            "stubborn": block,
        }
        return [Delta(content=token) for token in shapes.get(kind, [*block, *tokens])]


def answer(prompt: Prompt, tokens: int) -> list[str]:
    """Return the first sentence of passage `[1]`, past its heading line, cited; without passages, an echo.

    `tokens` > 0 makes it exactly that long, by repeating the sentence.
    """
    words = list(_words(prompt))
    if tokens:
        words = list(islice(cycle(words), tokens))
    return [word if position == 0 else f" {word}" for position, word in enumerate(words)]


def _words(prompt: Prompt) -> Iterator[str]:
    for _, text in reversed(prompt.messages):
        passage = _PASSAGE.search(text)
        if passage:
            block = passage["text"].strip().split("\n\n")[0]
            body = block.partition("\n")[2] or block
            sentence = _SENTENCE.search(body)
            yield from (sentence["sentence"] if sentence else body).split()
            yield "[1]"
            return
    yield from prompt.messages[-1][1].split()[:32] or ["Nothing."]


async def create(entry: ModelEntry) -> FakeEngine:
    return FakeEngine(entry, Settings.load())
