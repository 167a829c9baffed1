"""The chain with a guard: a forbidden question is not searched for, a forbidden sentence is not sent.

An answer that streams is held back by a sentence: each is checked together with the one before it, and sent
when it is allowed. So nothing forbidden is sent and then withdrawn.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pipelines.clock import AnswerClock
from pipelines.rag import Event, Finished, Found, Piece, Question, RagPipeline
from pipelines.search import Evidence, Search
from services.core.errors import Blocked, InvalidRequest
from services.core.guards.guard import Guard
from services.core.wire.chat import ChatMessage, Usage

BLOCKED_QUESTION = "This question is not answered here: the rules of this service do not allow it."
BLOCKED_ANSWER = "The answer is not shown: the rules of this service do not allow it."
BLOCKED_REST = "The rest of the answer is not shown: the rules of this service do not allow it."
LONGEST_HELD = 600
"""Characters that are held back at most where no sentence ends."""

MARK = "guard"
"""What `degraded` has where something went unchecked because the guard did not answer."""

REASONING_MARK = "guard:reasoning"
"""What `degraded` has where the thinking was withheld from a place on."""

_END = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]\u201d]*\s|[\u3002\uff01\uff1f]|\n")


@dataclass(frozen=True, slots=True)
class GuardedPipeline(RagPipeline):
    """A pipeline that asks a guard; without one it is as the other."""

    guard: Guard | None = None

    async def find(
        self,
        question: str,
        search: Search,
        clock: AnswerClock,
        *,
        history: Sequence[ChatMessage] = (),
        model: str = "",
    ) -> Evidence:
        """Find evidence as a pipeline does. Raises `Blocked` where the question, or a message of the caller's
        that came with it, is forbidden."""
        if self.guard is None:
            return await RagPipeline.find(self, question, search, clock, history=history, model=model)
        sent = [message.text for message in history if message.role != "assistant"]
        checked = await self.guard.require("questions", [question, *sent])
        found = await RagPipeline.find(self, question, search, clock, history=history, model=model)
        return replace(found, degraded=(*found.degraded, MARK)) if checked.is_unchecked else found

    async def answer(self, question: Question) -> AsyncGenerator[Event]:
        """Answer as a pipeline does; a forbidden question gets the outcome `blocked`, and a word."""
        clock = AnswerClock(self.metrics)
        try:
            async with aclosing(RagPipeline.answer(self, question)) as events:
                async for event in events:
                    yield event
        except Blocked:
            # it is raised before anything is found, so nothing was sent yet
            model = await self._name_entry(question.model)
            yield Found(Evidence().freeze(), (), model, clock.timings())
            yield Piece(model, BLOCKED_QUESTION)
            yield _end_blocked(model, clock, Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0))

    async def answer_from(
        self, question: Question, found: Evidence, clock: AnswerClock
    ) -> AsyncGenerator[Event]:
        """Answer as a pipeline does, a sentence at a time.

        Raises:
            InvalidRequest: It asks for log probabilities, which would give away what is held back.
        """
        events = RagPipeline.answer_from(self, question, found, clock)
        if self.guard is None or not self.guard.watches("answers"):
            checked = events
        elif question.features.logprobs:
            raise InvalidRequest("logprobs: not where a guard holds answers back (GUARD_PLACES)")
        else:
            checked = _Gate(self.guard, question, clock).let_through(events)
        async with aclosing(checked) as passed:
            async for event in passed:
                yield event


@dataclass(slots=True)
class _Channel:
    """One channel of an output: what is held back, and the last sentence that was sent."""

    held: str = ""
    last: str = ""
    sent: int = 0
    is_closed: bool = False


@dataclass(slots=True)
class _Gate:
    """Lets one answer through, a sentence at a time."""

    guard: Guard
    question: Question
    clock: AnswerClock
    content: _Channel = field(default_factory=_Channel)
    reasoning: _Channel = field(default_factory=_Channel)
    marks: dict[str, None] = field(default_factory=dict)
    model: str = ""
    degraded: tuple[str, ...] = ()

    async def let_through(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Found):
                    self.model, self.degraded = event.model, event.degraded
                    yield event
                    continue
                is_end = isinstance(event, Finished)
                self.model = event.model
                if isinstance(event, Piece):
                    if not (event.content or event.reasoning or event.tool_calls):
                        yield event
                        continue
                    self.content.held += event.content
                    self.reasoning.held += event.reasoning
                    if event.tool_calls:
                        yield Piece(event.model, tool_calls=event.tool_calls)
                thought = await self._release(self.reasoning, is_end=is_end)
                if thought:
                    yield Piece(event.model, reasoning=thought)
                text = await self._release(self.content, is_end=is_end)
                if text:
                    yield Piece(event.model, content=text)
                if self.content.is_closed:
                    break
                if isinstance(event, Finished):
                    yield replace(event, degraded=(*event.degraded, *self.marks))
                    return
        # the engine is told to stop: what it has said so far is all that is known
        notice = BLOCKED_REST if self.content.sent else BLOCKED_ANSWER
        yield Piece(self.model, f"\n\n{notice}" if self.content.sent else notice)
        tokens = (self.content.sent + self.reasoning.sent) // 4
        usage = Usage(prompt_tokens=0, completion_tokens=tokens, total_tokens=tokens, estimated=True)
        finished = _end_blocked(self.model, self.clock, usage)
        yield replace(finished, degraded=(*self.degraded, *self.marks))

    async def _release(self, channel: _Channel, *, is_end: bool) -> str:
        """Check what is whole, and return it; what is forbidden closes the channel."""
        if channel.is_closed:
            channel.held = ""
            return ""
        whole, rest = (channel.held, "") if is_end else split_whole(channel.held)
        if not whole:
            return ""
        if await self._forbids(channel.last + whole):
            channel.is_closed = True
            whole, rest = await self._find_allowed(channel.last, whole), ""
            if channel is self.reasoning:
                self.marks[REASONING_MARK] = None
        channel.held, channel.last = rest, whole
        channel.sent += len(whole)
        return whole

    async def _find_allowed(self, last: str, whole: str) -> str:
        """Find what stands before the first forbidden one of several sentences that came at once."""
        allowed = ""
        for sentence in split_sentences(whole):
            if await self._forbids(last + sentence):
                return allowed
            allowed, last = allowed + sentence, sentence
        return ""  # they are forbidden together

    async def _forbids(self, text: str) -> bool:
        checked = await self.guard.check("answers", [text], self.question.text)
        if checked.is_unchecked:
            self.marks[MARK] = None
        return bool(checked.reason)


def split_sentences(text: str) -> list[str]:
    """Split a text into its sentences, each with the white space behind it."""
    cuts = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if end > start]


def split_whole(text: str) -> tuple[str, str]:
    """Split a text behind its last whole sentence; what is too long to be held goes at a blank.

    Returns:
        What may be checked and sent, and what is held back.
    """
    end = max((match.end() for match in _END.finditer(text)), default=0)
    if len(text) - end > LONGEST_HELD:
        end = max(text.rfind(" ") + 1, end) or len(text)
    return text[:end], text[end:]


def _end_blocked(model: str, clock: AnswerClock, usage: Usage) -> Finished:
    return Finished(
        model=model,
        finish_reason="content_filter",
        outcome="blocked",
        usage=usage,
        timings=clock.timings(),
        citations=[],
        degraded=(),
    )
