"""The protocol of a generation engine.

An engine is one place in `backends/`, a module or a package, that exports `CAPABILITIES` and
`async def create(entry: ModelEntry) -> Engine`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from services.core.backends import Backend
from services.core.wire.chat import ChatMessage, Ending
from services.core.wire.features import Features, TokenLogprob, ToolCallDelta
from services.generation.entries import ModelEntry

PACKAGE = "services.generation.backends"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, so that nothing above asks for one by name."""

    embedded: bool = False
    """It runs in this process and holds the model's memory; False: it is a client of a server."""
    seed: bool = False
    """The same seed and prompt give the same answer."""
    native_reasoning: bool = False
    """It may deliver thinking as `Delta.reasoning`, parsed by itself or by its server."""
    native_budget: bool = False
    """It honours `Prompt.max_reasoning_tokens`."""
    continuation: bool = False
    """It honours `Prompt.prefix`."""
    switch: bool = False
    """It passes `Prompt.thinking` on to the model's chat template, or turns it off by a field of its own."""
    effort: bool = False
    """It honours `Prompt.effort`: it has a field for it, or gives it to the model's chat template."""
    grammar: bool = False
    """It can be held to a grammar or a JSON schema while it generates."""
    logprobs: bool = False
    """It can give the log probabilities of the most likely tokens at each position."""
    bias: bool = False
    """It takes `logit_bias`."""
    penalties: bool = False
    """It takes `presence_penalty` and `frequency_penalty`."""
    tools: bool = False
    """It shows the model which tools there are, and tells calls of them from text."""
    converts: bool = False
    """It may have to convert a model's file before it opens it for the first time, which takes long."""
    prefills: bool | None = None
    """Whether the model's chat template writes the opener of its thinking; None: the engine does not know."""
    distribution: str = ""
    """The installed package that an embedded engine is, whose version says when to measure anew; without
    one it is no candidate for `auto`."""


class ToolTurn(tuple[str, str]):
    """A message (role, text) that calls tools, or is the reply of one; `fields` are OpenAI's for that."""

    fields: dict[str, object]

    @classmethod
    def make(cls, role: str, text: str, fields: dict[str, object]) -> ToolTurn:
        """Make a message with these fields."""
        turn = cls((role, text))
        turn.fields = fields
        return turn


def make_turn(role: str, message: ChatMessage) -> tuple[str, str]:
    """Write a message as role and text, with what it says of tools where it does."""
    if not message.concerns_tools:
        return role, message.text
    return ToolTurn.make(role, message.text, message.tool_fields())


def replace_text(turn: tuple[str, str], text: str) -> tuple[str, str]:
    """Write the message with another text."""
    return ToolTurn.make(turn[0], text, turn.fields) if isinstance(turn, ToolTurn) else (turn[0], text)


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
    """Text after what the chat template opens the assistant's turn with (where that opens the thinking,
    the prefix begins inside of it); continued as raw text, not repeated in the deltas. It is set only
    where the engine has `continuation`."""
    thinking: bool | None = None
    """Whether the model's chat template shall ask it to think; None leaves it to the template. An
    engine without `switch` ignores it, and so does a template that has none."""
    effort: str = ""
    """How hard it shall think, in a word of the model's own scale; empty leaves it to the template. It is
    set only where the engine has `effort`."""
    max_reasoning_tokens: int | None = None
    """Tokens that it may think; None: no limit of its own. It is set only where the engine has
    `native_budget`."""

    features: Features = field(default_factory=Features)
    """What the answer must be besides text. It asks only for what the engine's capabilities have."""

    def chat_messages(self) -> list[dict[str, object]]:
        """Return the messages in OpenAI's form, which chat templates take too."""
        return [_write_message(turn) for turn in self.messages]

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


def _write_message(turn: tuple[str, str]) -> dict[str, object]:
    role, text = turn
    message: dict[str, object] = {"role": role, "content": text}
    if isinstance(turn, ToolTurn):
        message |= turn.fields
        if role == "assistant" and not text:
            message["content"] = None
    return message


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens by the engine's own tokenizer.

    `reasoning` is the part of `completion` that was spent thinking, None where that is not known. With
    `estimated` the engine has not counted, and these are our estimates.
    """

    prompt: int
    completion: int
    reasoning: int | None = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """One step of a stream. The last one carries `finish_reason` and `tokens`."""

    content: str = ""
    reasoning: str = ""
    finish_reason: Ending | None = None
    tokens: TokenCounts | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    held_back: float | None = None
    """Seconds, of a step that brings nothing else: the engine is at work, and its text is held back."""

    @property
    def has_output(self) -> bool:
        """Whether it brings anything but an end."""
        return bool(self.content or self.reasoning or self.tool_calls or self.logprobs)


class Engine(Backend, Protocol):
    """An engine generates text. It is safe to call concurrently, and queues rather than oversubscribe the
    machine."""

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do with its settings: its module's `CAPABILITIES`, or less."""

    def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """Generate an answer; closing the generator or cancelling its task stops the engine at once.

        Args:
            prompt: The request.

        Returns:
            An async generator of deltas; the last one has the finish reason.

        Raises:
            ContextLengthExceeded: The prompt does not fit; raised before the first delta.
            ServiceError: The engine fails; this error or a subclass of it names the engine.
        """


class EngineModule(Protocol):
    """The module or package of an engine, as the backend loader gives it."""

    CAPABILITIES: Capabilities
    """What its engines can do at best; known before there is one."""

    async def create(self, entry: ModelEntry) -> Engine:
        """Make an engine; what takes long goes on in the background.

        Args:
            entry: The model entry that the engine serves.

        Returns:
            The engine, whose `ready` tells when it can serve.

        Raises:
            ServiceError: The entry or the settings cannot be used.
        """
