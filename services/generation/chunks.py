"""Reading what OpenAI-compatible servers stream as deltas. Pure; one reader for one stream.

It reads chunks of `/chat/completions` and of `/completions`; the thinking under any of the names it has
(`reasoning` in vLLM since 0.11 and in Ollama, `reasoning_content` in DeepSeek's API, older vLLM, SGLang
and llama.cpp, `thinking` in others); and the errors that servers send in the place of a chunk.
"""

from __future__ import annotations

import re
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation.backend import Delta, TokenCounts

DONE = b"[DONE]"

REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
"""The finish reasons by the names that servers have for them; TGI's and older names among them."""

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
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    thinking: str | None = None


class _Choice(_Wire):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


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
    message: str | None = None

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
            step = cls.model_validate(orjson.loads(data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            start = data[:200].decode("utf-8", "replace")
            raise engine_failure(engine, f"sent a chunk that is not its protocol's: {start}") from error
        problem = step.error
        if problem is None and step.object != "error":
            return step
        message = (problem if isinstance(problem, str) else problem and problem.message) or step.message
        if message and is_too_long(message):
            raise ContextLengthExceeded(f"{engine}: {message}", service=engine)
        raise engine_failure(engine, f"failed: {message or 'without a message'}")


class _Chunk(Step):
    choices: list[_Choice] | None = Field(default_factory=list)
    usage: _Usage | None = None


class ChunkReader:
    """Reads one stream of the server that `engine` names in errors."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._reason: FinishReason | None = None
        self._counts: TokenCounts | None = None

    def read(self, data: bytes) -> Delta:
        """Return the text of one event, possibly none. Raises `ServiceError` for what is no chunk."""
        chunk = _Chunk.read(data, self._engine)
        self._counts = _count_tokens(chunk.usage) or self._counts
        if not chunk.choices:
            return Delta()
        choice = chunk.choices[0]
        self._reason = read_finish_reason(choice.finish_reason, self._engine) or self._reason
        delta = choice.delta or _Delta(content=choice.text)
        reasoning = delta.reasoning_content or delta.reasoning or delta.thinking or ""
        return Delta(content=delta.content or "", reasoning=reasoning)

    def end(self) -> Delta:
        """Return the last delta; its `tokens` are None where the server sent no usage.

        Raises:
            ServiceError: The stream ended without a finish reason.
        """
        if self._reason is None:
            raise engine_failure(
                self._engine, "ended its stream without a finish reason: it may have been stopped"
            )
        return Delta(finish_reason=self._reason, tokens=self._counts)


def read_finish_reason(reason: str | None, engine: str) -> FinishReason | None:
    """Translate a server's finish reason; None and empty: the answer goes on.

    Raises:
        ServiceError: The reason means failure, or nobody knows it: it is not an answer's end.
    """
    if not reason:
        return None
    if reason not in REASONS:
        raise engine_failure(engine, f"broke off with finish_reason {reason!r}")
    return REASONS[reason]


def is_too_long(message: str) -> bool:
    """Whether a server's message says that the prompt does not fit."""
    return _TOO_LONG.search(message) is not None


def engine_failure(engine: str, what: str) -> ServiceError:
    """Make the error that says what went wrong with which engine."""
    return ServiceError(f"{engine} {what}", service=engine)


def _count_tokens(usage: _Usage | None) -> TokenCounts | None:
    if usage is None:
        return None
    details = usage.completion_tokens_details
    return TokenCounts(
        usage.prompt_tokens, usage.completion_tokens, (details and details.reasoning_tokens) or 0
    )
