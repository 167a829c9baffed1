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
from services.generation.entry import ModelEntry

PACKAGE = "services.generation.backends"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, so that nothing above asks for one by name."""

    embedded: bool = False
    seed: bool = False
    distribution: str = ""
    """The installed package that an embedded engine is, whose version says when to measure anew."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request in the engine's terms: chat messages (role, text) and sampling, all defaults filled in."""

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """By the engine's own tokenizer; `reasoning` is the part of `completion` spent thinking."""

    prompt: int
    completion: int
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """One step of a stream. The last one carries `finish_reason` and `tokens`."""

    content: str = ""
    reasoning: str = ""
    finish_reason: FinishReason | None = None
    tokens: TokenCounts | None = None


class Engine(Backend, Protocol):
    """Generates text. Safe to call concurrently; queues rather than oversubscribes the machine."""

    def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """An async generator of deltas; closing it or cancelling its task stops the engine at once.

        Raises `ContextLengthExceeded` before the first delta where the prompt does not fit, and
        `ServiceError` (or a subclass that names the engine) where the engine fails.
        """


class EngineModule(Protocol):
    """What the loader gives: an engine's file."""

    CAPABILITIES: Capabilities

    async def create(self, entry: ModelEntry) -> Engine:
        """An engine for that entry; what takes long goes on in the background, `ready` tells."""
