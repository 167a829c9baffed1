"""One question to an engine, thinking and answer in two channels, within a thinking budget.

How it is asked depends on the model's profile and on what the engine can do, never on its name:

- staged: where the engine can continue a turn, the thinking is a request of its own that ends at the
  closer or at the budget, and the answer continues the turn after the closer. Both are counted by the
  engine.
- twice: prompted thinking on an engine that cannot continue a turn.
- single: everything else is one request. A native budget is the engine's; another one is watched by an
  estimate, and the stream is stopped where it is over.

Thinking that leaves no answer is closed where a turn can be continued, else the question is asked again
without thinking. Where that fails too the finish reason is `reasoning_truncated`: another entry may answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from services.core.errors import ContextLengthExceeded
from services.core.wire.chat import FinishReason
from services.generation.backend import Delta, Engine, Prompt
from services.generation.reasoning.budget import (
    Estimate,
    Limits,
    TokenTally,
    choose_method,
    least_effort,
)
from services.generation.reasoning.conversation import (
    add_system_lines,
    ask_for_answer,
    ask_to_think,
    split_reasoning,
)
from services.generation.reasoning.parser import Piece, ReasoningParser
from services.generation.reasoning.profiles import PROFILES, expect_tags_in_text
from services.generation.task import Task

Outcome = Literal["none", "finished", "closed", "reasked", "truncated"]
"""Of the thinking: there was none; it ended by itself; it was closed; the question was asked again
without it; there is no answer."""

_DIRECTLY = "Answer directly, without thinking first."


class Thinking:
    """Use `deltas` once; `outcome` and `misplaced` (see the parser) hold when it has ended."""

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._prompt = task.prompt
        self._limits = task.limits
        self._asked = task.limits.asked and task.limits.thinking > 0
        self._profile = task.profile
        self._parser = ReasoningParser(self._profile)
        self._tally = TokenTally()
        self._raw: list[str] = []
        self._fielded = False
        self._reason: FinishReason | None = None
        self._answered = False
        self._thinks = task.limits.thinking > 0
        self.outcome: Outcome = "none"

    @property
    def misplaced(self) -> int:
        """Characters of content that turned out to be thinking."""
        return self._parser.misplaced

    async def deltas(self) -> AsyncGenerator[Delta]:
        """Deltas of one channel each, then one with the finish reason and the counts.

        Raises what the engine raises. Content is empty with `stop` only where a model that does not
        think says nothing.
        """
        begun = False
        try:
            async with aclosing(self._steps()) as steps:
                async for delta in steps:
                    begun = True
                    yield delta
        except ContextLengthExceeded:
            smaller = self._without_room()
            if begun or smaller is None:
                raise
            again = Thinking(self._engine, Task(self._prompt, self._profile, smaller))
            async with aclosing(again.deltas()) as deltas:
                async for delta in deltas:
                    yield delta
            self.outcome, self._parser = again.outcome, again._parser
            return
        for delta in _deltas(self._parser.finish()):
            yield delta
        self._answered = self._parser.answered
        if self._thought and not self._answered:
            async with aclosing(self._reask()) as again_deltas:
                async for delta in again_deltas:
                    yield delta
        elif self._thought and self.outcome == "none":
            self.outcome = "finished"
        reason = self._final()
        yield Delta(finish_reason=reason, tokens=self._tally.counts(thought=self._thought))

    @property
    def _thought(self) -> bool:
        return self._parser.thought or self._parser.truncated or self.outcome != "none"

    def _final(self) -> FinishReason:
        return "reasoning_truncated" if self.outcome == "truncated" else self._reason or "length"

    def _without_room(self) -> Limits | None:
        """Where the prompt did not fit together with thinking that the request did not ask for."""
        limits = self._limits
        if limits.asked or limits.thinking <= limits.answer:
            return None
        return replace(limits, thinking=limits.answer, total=min(limits.total, 2 * limits.answer))

    def _steps(self) -> AsyncGenerator[Delta]:
        profile, can = self._profile, self._engine.capabilities
        asks = profile.trace == "prompted"
        if asks:  # not by the chat template on top of it
            self._prompt = replace(self._prompt, thinking=False)
        if profile.trace == "none" or (asks and not self._limits.thinking):
            self._parser = ReasoningParser(PROFILES["unknown"] if asks else profile)
            return self._ask(replace(self._prompt, max_tokens=self._limits.total))
        closes = choose_method(profile, can) == "close"
        if closes and not self._limits.thinking and not profile.unsure:
            return self._unthinking()
        if asks or (closes and profile.trace in {"tags", "prefilled"} and not can.native_reasoning):
            return self._staged()
        return self._single()

    def _unthinking(self) -> AsyncGenerator[Delta]:
        """The turn begins with a thinking block that is closed already."""
        self._parser = ReasoningParser(expect_tags_in_text(self._profile))
        prefix = f"{self._begin}{self._profile.closer}\n\n"
        return self._ask(replace(self._prompt, prefix=prefix, max_tokens=self._limits.total))

    async def _staged(self) -> AsyncGenerator[Delta]:
        profile, limits, prompt = self._profile, self._limits, self._prompt
        tags = profile.opener, profile.closer
        continues = self._engine.capabilities.continuation
        self._parser = ReasoningParser(replace(profile, trace="prefilled"))
        if profile.trace == "prompted":
            prompt = replace(prompt, messages=ask_to_think(prompt.messages, *tags))
        think = replace(
            prompt,
            prefix=self._begin if continues else "",
            max_tokens=limits.thinking,
            stop=(profile.closer,),
        )
        async with aclosing(self._ask(think, thinking=True)) as deltas:
            async for delta in deltas:
                yield delta
        if not self._parser.truncated:
            return  # the engine has told thinking and answer apart by itself
        self.outcome = "finished" if self._reason == "stop" else "closed"
        thoughts = "".join(self._raw).strip()
        for delta in _deltas(self._parser.close()):
            yield delta
        answer = replace(
            prompt,
            max_tokens=max(1, min(limits.answer, limits.total - self._tally.completion)),
            prefix=f"{self._begin}{thoughts}\n{profile.closer}\n\n" if continues else "",
        )
        if not continues:
            thoughts = thoughts.removeprefix(profile.opener).strip()
            answer = replace(answer, messages=ask_for_answer(self._prompt.messages, *tags, thoughts))
        async with aclosing(self._fitting(answer)) as deltas:
            async for delta in deltas:
                yield delta

    async def _single(self) -> AsyncGenerator[Delta]:
        limits, profile, can = self._limits, self._profile, self._engine.capabilities
        how = choose_method(profile, can)
        told = self._told if can.switch else None
        if profile.hybrid and not (profile.hybrid == "on" if told is None else told):
            self._parser = ReasoningParser(expect_tags_in_text(profile))  # no opener is pre-filled
        prompt = replace(
            self._prompt,
            max_tokens=limits.total,
            thinking=self._told,
            max_reasoning_tokens=limits.thinking if how == "native" else None,
        )
        guarded = limits.asked and how in {"close", "reask"}
        estimate, cut = Estimate(), False
        async with aclosing(self._ask(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning and guarded and estimate.add(delta.reasoning) > limits.thinking:
                    cut = True
                    break
                yield delta
        for delta in _deltas(self._parser.settle()):  # a closer at the very end may have been held back
            yield delta
        if self._parser.answered or not self._thought:
            return
        if not (cut or self._parser.truncated or self._fielded):
            return  # it has closed its thinking, and then said nothing
        if not can.continuation or how == "reask":
            return
        self.outcome = "closed"
        begin = self._begin if self._fielded else ""
        closer = self._parser.closer
        for delta in _deltas(self._parser.close()):
            yield delta
        prefix = f"{begin}{''.join(self._raw).rstrip()}\n{closer}\n\n"
        async with aclosing(
            self._fitting(replace(self._prompt, prefix=prefix, max_tokens=limits.answer))
        ) as deltas:
            async for delta in deltas:
                yield delta

    async def _reask(self) -> AsyncGenerator[Delta]:
        """The question again, without thinking. It is read to its end before it is told what it is."""
        profile, prompt = self._profile, self._prompt
        self.outcome, self._thinks = "truncated", False
        if profile.trace == "prompted":
            profile = PROFILES["unknown"]
        else:
            if profile.hybrid and self._engine.capabilities.switch:
                profile = expect_tags_in_text(profile)
            role, last = prompt.messages[-1]
            prompt = replace(
                prompt,
                messages=(*prompt.messages[:-1], (role, f"{last}\n\n{_DIRECTLY}")),
                thinking=False,
                effort=least_effort(profile),
            )
            if self._engine.capabilities.native_budget:
                prompt = replace(prompt, max_reasoning_tokens=0)
        prompt = replace(prompt, max_tokens=self._limits.answer)
        between = "\n" if self._parser.thought else ""
        self._parser, self._raw = ReasoningParser(PROFILES["none"]), []
        async with aclosing(self._ask(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning:
                    yield Delta(reasoning=between + delta.reasoning)
                    between = ""
        text = "".join(self._raw)
        reasoning, content = split_reasoning(text, expect_tags_in_text(profile))
        if profile.trace == "prefilled" and profile.closer not in text and self._reason != "stop":
            reasoning, content = text, ""
        if reasoning:
            yield Delta(reasoning=between + reasoning)
        if content.strip():
            self._answered, self.outcome = True, "reasked"
            yield Delta(content=content.lstrip())

    async def _fitting(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """As `_ask`, but nothing where the thinking has left no room: the question is asked again."""
        try:
            async with aclosing(self._ask(prompt)) as deltas:
                async for delta in deltas:
                    yield delta
        except ContextLengthExceeded:
            return

    async def _ask(self, prompt: Prompt, *, thinking: bool = False) -> AsyncGenerator[Delta]:
        """One request's text through the parser; `thinking`: all of it counts as that."""
        self._reason = None
        self._tally.begin()
        prompt = add_system_lines(prompt, self._profile, self._engine.capabilities, thinks=self._thinks)
        async with aclosing(self._engine.generate(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning:
                    self._fielded = True
                self._raw.append(delta.reasoning or delta.content)
                for parsed in _deltas(self._parser.feed(content=delta.content, reasoning=delta.reasoning)):
                    yield parsed
                if delta.finish_reason:
                    self._reason = delta.finish_reason
                    self._tally.end(delta.tokens, thinking=thinking)
                    return

    @property
    def _told(self) -> bool | None:
        """What the chat template is told about thinking, None where it does the right thing by itself."""
        if not self._limits.thinking:
            return False
        return True if self._profile.hybrid == "off" and self._asked else None

    @property
    def _begin(self) -> str:
        """What the thinking begins with, but for what the chat template writes."""
        return "" if self._profile.trace == "prefilled" else f"{self._profile.opener}\n"


def _deltas(pieces: Iterable[Piece]) -> Iterable[Delta]:
    for piece in pieces:
        yield Delta(content=piece.text) if piece.channel == "content" else Delta(reasoning=piece.text)
