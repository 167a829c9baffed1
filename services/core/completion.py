"""How a chat completion is written: the chunks of a stream, and the mark of an answer by another entry.

`degraded` of a reply has `generation:<entry>` for each entry that could not answer, the wanted one first; a
header says the same as `wanted -> used`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence

import orjson

from services.core.sse import format_event
from services.core.wire.chat import FinishReason, Outcome, Usage
from services.core.wire.features import FunctionCall, TokenLogprob, ToolCall, ToolCallDelta

FALLBACK_HEADER = "x-ragline-fallback"
"""`wanted -> used`, by the names of the entries."""

_MARK = "generation:"
_NO_FIELDS: Mapping[str, object] = {}


class ChunkWriter:
    """Writes the chunks of one completion as server-sent events; all have its id and its time.

    They are `ChatChunk`s, put together by hand because there is one per token.
    """

    def __init__(self) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())

    def delta(
        self,
        model: str,
        delta: Mapping[str, object],
        finish_reason: FinishReason | None = None,
        fields: Mapping[str, object] = _NO_FIELDS,
        logprobs: Sequence[TokenLogprob] = (),
    ) -> bytes:
        """Write a chunk with one choice.

        Args:
            model: The entry at work.
            delta: What is new in the message, as `ChunkDelta` names it.
            finish_reason: Why the answer ends here; OpenAI's clients expect null in every choice until then.
            fields: Further fields of the chunk.
            logprobs: The log probabilities of the delta's tokens, where they are wanted.

        Returns:
            The event.
        """
        choice: dict[str, object] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        if logprobs:
            choice["logprobs"] = {"content": [one.model_dump() for one in logprobs]}
        return self._event(model, [choice], fields)

    def usage(self, model: str, usage: Usage) -> bytes:
        """Write the last chunk, which has the token counts and no choice."""
        return self._event(model, [], {"usage": usage.model_dump()})

    def beside(self, model: str, fields: Mapping[str, object]) -> bytes:
        """Write a chunk with fields of our own and no choice, after the one with the finish reason."""
        return self._event(model, [], fields)

    def _event(self, model: str, choices: list[object], fields: Mapping[str, object]) -> bytes:
        chunk = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": model}
        return format_event(orjson.dumps({**chunk, "choices": choices, **fields}))


class CallCollector:
    """Puts calls of tools together from the pieces of a stream."""

    def __init__(self) -> None:
        self._calls: dict[int, ToolCall] = {}

    @property
    def calls(self) -> list[ToolCall]:
        """All calls up to now, in their order."""
        return [self._calls[index] for index in sorted(self._calls)]

    def add(self, pieces: Iterable[ToolCallDelta]) -> None:
        """Add pieces as they come."""
        for piece in pieces:
            call = self._calls.get(piece.index, ToolCall(id="", function=FunctionCall(name="")))
            function = FunctionCall(
                name=call.function.name or piece.function.name or "",
                arguments=call.function.arguments + (piece.function.arguments or ""),
            )
            self._calls[piece.index] = ToolCall(id=call.id or piece.id or "", function=function)


def move_misplaced(content: str, reasoning: str, misplaced: int) -> tuple[str, str]:
    """Move thinking that was streamed as content to where it belongs.

    Args:
        content: The whole content of an answer.
        reasoning: Its whole reasoning.
        misplaced: How many characters of the content, from its start, turned out to be thinking.

    Returns:
        Content and reasoning.
    """
    if not misplaced:
        return content, reasoning
    return content[misplaced:].lstrip(), reasoning + content[:misplaced].strip()


def misplaced_fields(misplaced: int, finish_reason: FinishReason, outcome: Outcome) -> dict[str, object]:
    """Say in the last chunk of a stream that some of its content was thinking.

    Its `finish_reason` has to be `length`: what was shown is not an answer that may be called whole.

    Args:
        misplaced: So many characters, from the start.
        finish_reason: Why the answer after them ends.
        outcome: What came of the request otherwise.
    """
    is_answer = outcome in {"answered", "answered_without_passages"}
    return {
        "misplaced": misplaced,
        "answer_finish_reason": finish_reason,
        "outcome": "reasoning_misplaced" if is_answer else outcome,
    }


def fallback_marks(entries: Iterable[str]) -> list[str]:
    """Mark the entries that could not answer, as `degraded` lists them."""
    return [f"{_MARK}{name}" for name in entries]


def skipped_entries(degraded: Iterable[str]) -> list[str]:
    """Read the entries that could not answer, the wanted one first, from a reply's `degraded`."""
    return [mark.removeprefix(_MARK) for mark in degraded if mark.startswith(_MARK)]


def fallback_headers(degraded: Sequence[str], used: str) -> dict[str, str]:
    """Make the header of a reply by the entry `used`; none where the wanted one answered."""
    names = skipped_entries(degraded)
    return {FALLBACK_HEADER: f"{names[0]} -> {used}"} if names else {}
