"""Reading what OpenAI-compatible servers stream as deltas. Pure; one reader for one stream.

It reads chunks of `/chat/completions` and of `/completions`; the thinking under any of the names it has
(`reasoning` in vLLM since 0.11 and in Ollama, `reasoning_content` in DeepSeek's API, older vLLM, SGLang
and llama.cpp, `thinking` in others); and the errors that servers send in the place of a chunk.
"""

from __future__ import annotations

import json
import re
import string
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation.backend import Delta, TokenCounts
from services.generation.endings import SEVERITY, read_finish_reason
from services.generation.features import read_logprobs, read_tool_calls
from services.generation.text import SurrogateJoiner

DONE = b"[DONE]"

_THINKING = (
    *("reasoning_content", "reasoning", "thinking", "reasoning_details", "reasoning_text"),
    *("thinking_blocks", "thinking_content", "thought", "thoughts"),
)
"""The fields of a delta that servers put thinking into; the first that has any counts."""

_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|(maximum|max) (context|model|input) len|max length|max_model_len"
    r"|longer than the (maximum )?model|prompt is too long|max_input_(length|tokens)"
    r"|`inputs` (must have less than|tokens \+ `max_new_tokens` must be)",
    re.IGNORECASE,
)
"""vLLM's, TGI's, OpenAI's, llama.cpp's, SGLang's and OVMS's words for a prompt that does not fit."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Delta(_Wire):
    content: object = None
    reasoning: object = None
    reasoning_content: object = None
    reasoning_details: object = None
    reasoning_text: object = None
    thinking: object = None
    thinking_blocks: object = None
    thinking_content: object = None
    thought: object = None
    thoughts: object = None
    refusal: object = None
    tool_calls: object = None
    function_call: object = None


class _Choice(_Wire):
    index: object = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    logprobs: object = None
    text: object = None
    finish_reason: object = None
    native_finish_reason: object = None
    """A router's: what the server behind it says."""


class _Details(_Wire):
    reasoning_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int
    completion_tokens: int = 0
    completion_tokens_details: _Details | None = None


class _Error(_Wire):
    message: str = ""


class Step(_Wire):
    """One event of a stream: a subclass says what it should be. vLLM, TGI and others send an error in its
    place."""

    error: _Error | str | None = None
    object: str = ""
    message: JsonValue = None

    @classmethod
    def read(cls, data: bytes, engine: str) -> Self:
        """Read one event.

        Args:
            data: The event's data.
            engine: The name of the server, for errors.

        Raises:
            ContextLengthExceeded: The event is an error that says that the prompt does not fit.
            ServiceError: The event is another error, or nothing that is known.
        """
        try:
            step = cls.model_validate(_load_json(data))
        except ValueError as error:
            start = data[:200].decode("utf-8", "replace")
            raise engine_failure(engine, f"sent a chunk that is not its protocol's: {start}") from error
        problem = step.error
        if problem is None and step.object != "error":
            return step
        message = problem if isinstance(problem, str) else problem and problem.message
        message = message or (step.message if isinstance(step.message, str) else "")
        if message and is_too_long(message):
            raise ContextLengthExceeded(f"{engine}: {message}", service=engine)
        raise engine_failure(engine, f"failed: {message or 'without a message'}")


class _Chunk(Step):
    choices: list[_Choice | None] | None = Field(default_factory=list)
    usage: object = None
    done_reason: object = None
    """Ollama's, where it stands beside an OpenAI choice."""


class ChunkReader:
    """Reads one stream of the server that `engine` names in errors."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._reason: FinishReason | None = None
        self._counts: TokenCounts | None = None
        self._content, self._reasoning = SurrogateJoiner(), SurrogateJoiner()
        self._has_text = self._refused = self._ended_early = False
        self._last = self._repeated = ""

    @property
    def finished(self) -> bool:
        """Whether the answer is complete: a finish reason came, and no text after it."""
        return self._reason is not None and not self._ended_early

    def read(self, data: bytes) -> Delta:
        """Return the text of one event, possibly none. Raises `ServiceError` for what is no chunk."""
        data = data.strip()
        while data.startswith(b"data:"):  # of a proxy that frames an event twice
            data = data[5:].lstrip()
        if data.lower() in KEEPALIVES:
            return Delta()
        chunk = _Chunk.read(data, self._engine)
        self._counts = _count_tokens(chunk.usage) or self._counts
        choices = [one for one in chunk.choices or () if one is not None]
        choice = next((one for one in choices if one.index in {0, "0", None}), None)
        if choice is None:
            return Delta()
        message = self._find_message(choice)
        content, reasoning = read_text(message.content)
        for field in _THINKING:
            if not reasoning:
                reasoning = "".join(read_text(getattr(message, field)))
        refusal = "".join(read_text(message.refusal))
        self._refused = self._refused or bool(refusal)
        delta = Delta(
            self._content.push(content + refusal),
            self._reasoning.push(reasoning),
            tool_calls=read_tool_calls(message.tool_calls, message.function_call),
            logprobs=read_logprobs(choice.logprobs),
        )
        has_text = bool(delta.content or delta.reasoning or delta.tool_calls)
        self._has_text = self._has_text or has_text
        self._last = (delta.content or delta.reasoning) if has_text else self._last
        self._ended_early = self._ended_early or (has_text and self._reason is not None)
        reason = read_finish_reason(choice.finish_reason, self._engine)
        if reason is not None:
            for other in (choice.native_finish_reason, chunk.done_reason):
                reason = max(reason, read_finish_reason(other, self._engine), key=SEVERITY.index)
        self._reason = max(reason, self._reason, key=SEVERITY.index)
        return delta

    def _find_message(self, choice: _Choice) -> _Delta:
        """Find what a choice adds; a `message` that repeats what has come adds what is new in it."""
        if choice.delta is not None and (choice.message is None or choice.delta.content):
            return choice.delta
        if choice.message is None:
            return _Delta(content=choice.text)
        if not self._has_text:
            self._repeated = read_text(choice.message.content)[0]
            return choice.message
        text, _ = read_text(choice.message.content)
        if not self._repeated or not text.startswith(self._repeated):
            return _Delta()
        more, self._repeated = text[len(self._repeated) :], text
        return _Delta(content=more)

    def end(self, limit: int | None = None) -> Delta:
        """Return the last delta; its `tokens` are None where the server sent no usage.

        Args:
            limit: The tokens that the server might generate. An answer that took them all is cut off,
                whatever the server calls it, unless it took exactly as many and ends a sentence.

        Raises:
            ServiceError: The stream ended without a finish reason.
        """
        if self._reason is None:
            raise engine_failure(
                self._engine, "ended its stream without a finish reason: it may have been stopped"
            )
        reason: FinishReason = "content_filter" if self._refused else self._reason
        taken = self._counts.completion if self._counts else 0
        is_whole = taken == limit and self._last.rstrip()[-1:] not in _WITHIN
        if reason == "stop" and limit and taken >= limit and not is_whole:
            reason = "length"
        return Delta(self._content.flush(), self._reasoning.flush(), reason, self._counts)


_WITHIN = frozenset(string.ascii_letters + string.digits + ",;:-([{")
"""Characters at which no sentence ends."""

KEEPALIVES = frozenset(
    {b"", b"{}", b"ping", b'"ping"', b"keepalive", b"keep-alive", b"heartbeat", b"processing"}
)
"""Events, in lower case, by which servers and proxies only say that they are still there."""


def read_text(value: object) -> tuple[str, str]:
    """Read content and thinking from what a server puts in the place of a text.

    Args:
        value: A text, a number, or a list of parts, each with a `type` and a text, as some servers send.

    Returns:
        The content, then the thinking.
    """
    if isinstance(value, str):
        return value, ""
    if isinstance(value, list):
        parts = [read_text(part) for part in value]
        return "".join(content for content, _ in parts), "".join(thinking for _, thinking in parts)
    if isinstance(value, dict):
        kind = str(value.get("type", ""))
        thinks = value.get("thought") is True or kind.startswith(("thinking", "reasoning"))
        inner = next((value[key] for key in _TEXTS if value.get(key)), "")
        text = "".join(read_text(inner))
        return ("", text) if thinks else (text, "")
    return ("" if value is None or isinstance(value, bool) else str(value)), ""


_TEXTS = ("text", "thinking", "reasoning", "content", "summary")
"""The keys that hold the text of a part."""


def split_event(data: bytes) -> list[bytes]:
    """Split an event whose lines are chunks of their own, of a server that leaves out the blank lines."""
    lines = data.split(b"\n")
    if len(lines) == 1 or not all(line.startswith(b"{") or line.strip() in {DONE, b""} for line in lines):
        return [data]
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return lines
    return [data]


def _load_json(data: bytes) -> object:
    """Read JSON, also with half characters or broken bytes in it. Raises `ValueError`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data.decode("utf-8", "replace"))


def is_too_long(message: str) -> bool:
    """Whether a server's message says that the prompt does not fit."""
    return _TOO_LONG.search(message) is not None


def engine_failure(engine: str, what: str) -> ServiceError:
    """Make the error that says what went wrong with which engine."""
    return ServiceError(f"{engine} {what}", service=engine)


def _count_tokens(usage: object) -> TokenCounts | None:
    """Read a server's token counts; None where there are none that can be true."""
    try:
        counts = _Usage.model_validate(usage)
    except ValidationError:
        return None
    prompt, completion = counts.prompt_tokens, counts.completion_tokens
    details = counts.completion_tokens_details
    reasoning = (details and details.reasoning_tokens) or 0
    if min(prompt, completion, reasoning) < 0:
        return None
    return TokenCounts(prompt, completion, reasoning if reasoning <= completion else None)
