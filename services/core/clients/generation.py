"""The client of the generation service, or of any OpenAI-compatible server in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson
from pydantic import TypeAdapter

from services.core.client import HttpClient
from services.core.control import break_calls, break_tokens, restore_call, restore_text
from services.core.errors import ServiceError
from services.core.peer_errors import error_from_body
from services.core.wire.chat import ChatMessage, Ending, ModelList, Usage
from services.core.wire.encoding import decode
from services.core.wire.features import Features, Logprobs, TokenLogprob, ToolCallDelta
from services.core.wire.sampling import Sampling


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """One step of a stream. `finish_reason` and `usage` come in the last ones; `degraded`, where another
    entry answers than the wanted one, in the first."""

    model: str = ""
    content: str = ""
    reasoning: str = ""
    finish_reason: Ending | None = None
    usage: Usage | None = None
    degraded: tuple[str, ...] = ()
    misplaced: int = 0
    """Characters of content that turned out to be thinking; it comes with the finish reason."""
    held_back: float | None = None
    """Milliseconds for which the text was held back; with the finish reason too."""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


_MODELS = TypeAdapter(ModelList)
_ENDING: TypeAdapter[Ending | None] = TypeAdapter(Ending | None)
_CALLS = TypeAdapter(list[ToolCallDelta])

LAST_SECONDS = 5.0
"""Longest wait for what follows an answer's end: its usage, `[DONE]`, the end of the stream."""


class GenerationClient:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        """Stream a completion.

        An answer is complete with its finish reason: whatever the stream does then, it is kept. Asking twice
        changes nothing, so a pooled connection that turns out to be closed costs one more try.

        Raises:
            ServiceError: The stream ends before the answer, or has an error in the place of a chunk.
        """
        turns = _write_messages(messages)
        safe = [_break_message(turn) for turn in turns]
        payload = _payload(safe, model, sampling or Sampling(), features)
        is_broken_up = safe != turns
        is_complete = is_done = False
        async with aclosing(self._http.stream("/v1/chat/completions", payload, idempotent=True)) as events:
            while True:  # to its very end: a connection with unread bytes cannot be pooled
                if is_complete or is_done:
                    try:
                        async with asyncio.timeout(LAST_SECONDS):
                            event = await anext(events, None)
                    except (TimeoutError, ServiceError):
                        return
                else:
                    event = await anext(events, None)
                if event is None:
                    break
                if event.data == b"[DONE]":
                    is_done = True
                elif not is_done:
                    delta = self._delta(event.data)
                    is_complete = is_complete or delta.finish_reason is not None
                    yield _restore(delta) if is_broken_up else delta
        if not (is_complete or is_done):
            raise ServiceError(
                "generation ended its stream before it was done: it may have died", service="generation"
            )

    async def models(self) -> ModelList:
        return decode(_MODELS, await self._http.get("/v1/models"), self._http.service)

    async def ready(self) -> None:
        await self._http.ready()

    def _delta(self, data: bytes) -> ChatDelta:
        try:
            chunk = orjson.loads(data)
            if chunk.get("error"):
                raise error_from_body(self._http.service, 502, data)
            choices = chunk.get("choices")
            usage = chunk.get("usage")
            choice = choices[0] if choices else {}
            delta = choice.get("delta") or {}
            return ChatDelta(
                model=chunk.get("model") or "",
                content=delta.get("content") or "",
                reasoning=delta.get("reasoning_content") or delta.get("reasoning") or "",
                finish_reason=_read_ending(
                    chunk.get("answer_finish_reason") or choice.get("finish_reason"), chunk.get("outcome")
                ),
                usage=Usage.model_validate(usage) if usage else None,
                degraded=tuple(chunk.get("degraded") or ()),
                misplaced=int(chunk.get("misplaced") or 0),
                held_back=float(chunk["held_back"]) if chunk.get("held_back") else None,
                tool_calls=tuple(_CALLS.validate_python(delta.get("tool_calls") or ())),
                logprobs=_read_logprobs(choice.get("logprobs")),
            )
        except (orjson.JSONDecodeError, AttributeError, LookupError, ValueError) as error:
            raise ServiceError(
                "generation sent a chunk that is not OpenAI's", service="generation"
            ) from error


def _read_ending(finish_reason: object, outcome: object) -> Ending | None:
    """Read how the output ended. Raises `ValidationError` for a word that is not OpenAI's."""
    is_truncated = finish_reason and outcome == "reasoning_truncated"
    return _ENDING.validate_python("reasoning_truncated" if is_truncated else finish_reason or None)


def _read_logprobs(value: object) -> tuple[TokenLogprob, ...]:
    return tuple(Logprobs.model_validate(value).content) if value else ()


def _write_messages(messages: Sequence[ChatMessage]) -> list[dict[str, object]]:
    return [{"role": message.role, "content": message.text} | message.tool_fields() for message in messages]


def _break_message(message: Mapping[str, object]) -> dict[str, object]:
    """Break up the control tokens of a message: not every server in the place of generation does."""
    return {**break_calls(message), "content": break_tokens(str(message["content"]))}


def _restore(delta: ChatDelta) -> ChatDelta:
    """Take out of an answer what was put into its question."""
    return replace(
        delta,
        content=restore_text(delta.content),
        reasoning=restore_text(delta.reasoning),
        tool_calls=tuple(map(restore_call, delta.tool_calls)),
    )


def _payload(
    messages: Sequence[Mapping[str, object]],
    model: str,
    sampling: Sampling,
    features: Features | None = None,
) -> bytes:
    request: dict[str, object] = {
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if model:
        request["model"] = model
    return orjson.dumps(
        request | sampling.model_dump(exclude_defaults=True) | (features.wanted() if features else {})
    )
