"""The protocol of a generation engine.

An engine is one file in `backends/` that exports `CAPABILITIES` and
`async def create(entry: ModelEntry) -> Engine`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from services.core.backends import Backend
from services.core.wire.chat import FinishReason
from services.generation.entries import ModelEntry

PACKAGE = "services.generation.backends"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, so that nothing above asks for one by name."""

    embedded: bool = False
    """Runs in this process and holds the model's memory; False: a client of a server."""
    seed: bool = False
    """The same seed and prompt give the same answer."""
    native_reasoning: bool = False
    """May deliver thinking as `Delta.reasoning`, parsed by itself or by its server."""
    native_budget: bool = False
    """Honours `Prompt.max_reasoning_tokens`."""
    continuation: bool = False
    """Honours `Prompt.prefix`."""
    switch: bool = False
    """Passes `Prompt.thinking` on to the model's chat template, or turns it off by a field of its own."""
    effort: bool = False
    """Honours `Prompt.effort`: has a field for it, or gives it to the model's chat template."""
    grammar: bool = False
    """Can be held to a grammar or a JSON schema while it generates."""
    logprobs: bool = False
    """Can give the log probabilities of the most likely tokens at each position."""
    distribution: str = ""
    """The installed package that an embedded engine is, whose version says when to measure anew; without
    one it is no candidate for `auto`."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request in the engine's terms: chat messages (role, text) and sampling, all defaults filled in."""

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prefix: str = ""
    """Put after what the chat template opens the assistant's turn with (where that opens the thinking,
    the prefix begins inside of it); continued as raw text, not repeated in the deltas. Only where the
    engine has `continuation`."""
    thinking: bool | None = None
    """Whether the model's chat template shall ask it to think; None leaves it to the template. An
    engine without `switch` ignores it, and so does a template that has none."""
    effort: str = ""
    """How hard it shall think, in a word of the model's own scale; empty leaves it to the template. Only
    where the engine has `effort`."""
    max_reasoning_tokens: int | None = None
    """Tokens it may think; None: no limit of its own. Only where the engine has `native_budget`."""

    def template_options(self) -> dict[str, object]:
        """What the request says to the model's chat template besides its messages.

        Thinking on or off, under Qwen3's name for it and under Granite's and DeepSeek's; and gpt-oss's
        effort. A template takes no notice of a name that it does not know.
        """
        options: dict[str, object] = {}
        if self.thinking is not None:
            options |= {"enable_thinking": self.thinking, "thinking": self.thinking}
        if self.effort:
            options["reasoning_effort"] = self.effort
        return options


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """By the engine's own tokenizer; `reasoning` is the part of `completion` spent thinking, None where
    that is not known."""

    prompt: int
    completion: int
    reasoning: int | None = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """One step of a stream. The last one carries `finish_reason` and `tokens`."""

    content: str = ""
    reasoning: str = ""
    finish_reason: FinishReason | None = None
    tokens: TokenCounts | None = None


class Engine(Backend, Protocol):
    """Generates text. Safe to call concurrently; queues rather than oversubscribes the machine."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do with its settings: its file's `CAPABILITIES`, or less."""

    def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """An async generator of deltas; closing it or cancelling its task stops the engine at once.

        Raises `ContextLengthExceeded` before the first delta where the prompt does not fit, and
        `ServiceError` (or a subclass that names the engine) where the engine fails.
        """


class EngineModule(Protocol):
    """What the loader gives: an engine's file."""

    CAPABILITIES: Capabilities
    """What its engines can do at best; known before there is one."""

    async def create(self, entry: ModelEntry) -> Engine:
        """An engine for that entry; what takes long goes on in the background, `ready` tells."""
