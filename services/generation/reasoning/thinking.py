"""One question to an engine: thinking and answer in two channels, within a thinking budget.

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

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from services.core.errors import ContextLengthExceeded
from services.core.wire.chat import Ending
from services.core.wire.features import Features
from services.generation.backend import Delta, Engine, Prompt
from services.generation.features import needs_one_request
from services.generation.reasoning.budget import Estimate, Limits, choose_method, least_effort
from services.generation.reasoning.conversation import ask_for_answer, ask_to_think, split_reasoning
from services.generation.reasoning.exchange import Exchange, to_deltas
from services.generation.reasoning.markup import deliberates, sounds_like_thinking
from services.generation.reasoning.profiles import PROFILES, expect_tags_in_text, trust_beginning
from services.generation.task import Task

Outcome = Literal["none", "finished", "closed", "reasked", "truncated"]
"""How the thinking ended: there was none; it ended by itself; it was closed; the question was asked again
without it; there is no answer."""

_DIRECTLY = "Answer directly, without thinking first."


class Thinking:
    """Asks one question. Use `deltas` once; `outcome` and `misplaced` are valid when it has ended."""

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._can = engine.capabilities
        # while a model thinks, no stop string may end it: they count in the answer alone
        self._prompt = replace(task.prompt, stop=()) if task.profile.trace != "none" else task.prompt
        self._limits = task.limits
        self._profile = task.profile
        self._task = task
        self._exchange = Exchange(engine, task)
        self.outcome: Outcome = "none"

    @property
    def misplaced(self) -> int:
        """Characters of content that turned out to be thinking; see the parser."""
        return self._exchange.misplaced

    @property
    def lacks_opener(self) -> bool:
        """Whether the model has closed thinking that it never opened."""
        return self._exchange.lacks_opener

    @property
    def held_seconds(self) -> float:
        """For how long its text was held back, because its opener may be missing."""
        return self._exchange.held_seconds

    async def deltas(self) -> AsyncGenerator[Delta]:
        """Yield deltas of one channel each, then one with the finish reason and the counts.

        Raises:
            ServiceError: The engine fails.
            ContextLengthExceeded: The prompt does not fit, also where less is set aside for thinking.
        """
        begun = False
        try:
            async with aclosing(self._ask()) as steps:
                async for delta in steps:
                    begun = True
                    yield delta
        except ContextLengthExceeded:
            smaller = self._smaller_limits()
            if begun or smaller is None:
                raise
            again = Thinking(self._engine, replace(self._task, limits=smaller))
            async with aclosing(again.deltas()) as deltas:
                async for delta in deltas:
                    yield delta
            self.outcome, self._exchange = again.outcome, again._exchange
            return
        cut = self._exchange.finish_reason == "length"
        for delta in to_deltas(self._exchange.parser.finish(cut=cut)):
            yield delta
        if self._has_thought and not (self._exchange.parser.answered or self._exchange.has_called):
            async with aclosing(self._ask_without_thinking()) as deltas:
                async for delta in deltas:
                    yield delta
        elif self._has_thought and self.outcome == "none":
            self.outcome = "finished"
        tokens = self._exchange.count_tokens(thought=self._has_thought)
        yield Delta(finish_reason=self._finish_reason, tokens=tokens)

    def stop(self) -> Delta:
        """Return the last delta of an answer that is ended here, at a stop string of the request."""
        if self._has_thought and self.outcome == "none":
            self.outcome = "finished"
        return Delta(finish_reason="stop", tokens=self._exchange.count_tokens(thought=self._has_thought))

    @property
    def _has_thought(self) -> bool:
        parser = self._exchange.parser
        return parser.thought or parser.truncated or self.outcome != "none"

    @property
    def _finish_reason(self) -> Ending:
        if self.outcome == "truncated":
            return "reasoning_truncated"
        return self._exchange.finish_reason or "length"

    @property
    def _switch(self) -> bool | None:
        """What the chat template is told about thinking, None where it does the right thing by itself."""
        limits = self._limits
        if not limits.thinking:
            return False
        return True if self._profile.hybrid == "off" and limits.asked else None

    @property
    def _opening(self) -> str:
        """What the thinking begins with, but for what the chat template writes."""
        return "" if self._profile.trace == "prefilled" else f"{self._profile.opener}\n"

    def _smaller_limits(self) -> Limits | None:
        """Return limits with less thinking, where the prompt did not fit and nobody asked for that much."""
        limits = self._limits
        if limits.asked or limits.thinking <= limits.answer:
            return None
        return replace(limits, thinking=limits.answer, total=min(limits.total, 2 * limits.answer))

    def _ask(self) -> AsyncGenerator[Delta]:
        """Ask in the way that profile and engine allow."""
        profile, limits, can = self._profile, self._limits, self._can
        is_prompted = profile.trace == "prompted"
        if is_prompted:  # not by the chat template on top of it
            self._prompt = replace(self._prompt, thinking=False)
        if profile.trace == "none" or (is_prompted and not limits.thinking):
            self._exchange.parse_as(trust_beginning(PROFILES["unknown"]) if is_prompted else profile)
            stops = self._task.prompt.stop
            return self._exchange.ask(replace(self._prompt, stop=stops, max_tokens=limits.total))
        can_close = choose_method(profile, can) == "close" and not needs_one_request(self._prompt.features)
        if can_close and not limits.thinking and not profile.unsure:
            return self._ask_after_closed_thinking()
        if is_prompted or (can_close and profile.trace in {"tags", "prefilled"} and not can.native_reasoning):
            return self._think_then_answer()
        return self._ask_once()

    def _ask_after_closed_thinking(self) -> AsyncGenerator[Delta]:
        """Begin the turn with a thinking block that is closed already."""
        self._exchange.parse_as(expect_tags_in_text(self._profile))
        prefix = f"{self._opening}{self._profile.closer}\n\n"
        return self._exchange.ask(
            replace(self._prompt, stop=self._task.prompt.stop, prefix=prefix, max_tokens=self._limits.total)
        )

    async def _think_then_answer(self) -> AsyncGenerator[Delta]:
        """Ask for the thinking, then for the answer: the strategies `staged` and `twice`."""
        profile, limits, prompt, exchange = self._profile, self._limits, self._prompt, self._exchange
        tags = profile.opener, profile.closer
        exchange.parse_as(replace(profile, trace="prefilled"))
        if profile.trace == "prompted":
            prompt = replace(prompt, messages=ask_to_think(prompt.messages, *tags))
        think = replace(
            prompt,
            prefix=self._opening if self._can.continuation else "",
            max_tokens=limits.thinking,
            stop=(profile.closer,),
            features=Features(),  # the form is the answer's
        )
        async with aclosing(exchange.ask(think, only_thinking=True)) as deltas:
            async for delta in deltas:
                yield delta
        if not exchange.parser.truncated:
            return  # the engine has separated thinking and answer by itself
        self.outcome = "finished" if exchange.finish_reason == "stop" else "closed"
        thoughts = exchange.text.strip()
        for delta in to_deltas(exchange.parser.close()):
            yield delta
        left = limits.total - exchange.completion_tokens
        answer = replace(prompt, max_tokens=max(1, min(limits.answer, left)), stop=self._task.prompt.stop)
        if self._can.continuation:
            answer = replace(answer, prefix=f"{self._opening}{thoughts}\n{profile.closer}\n\n")
        else:
            thoughts = thoughts.removeprefix(profile.opener).strip()
            answer = replace(answer, messages=ask_for_answer(self._prompt.messages, *tags, thoughts))
        async with aclosing(exchange.ask_if_it_fits(answer)) as deltas:
            async for delta in deltas:
                yield delta

    async def _ask_once(self) -> AsyncGenerator[Delta]:
        """Ask in one request, and close thinking that it leaves open: the strategy `single`."""
        limits, profile, can, exchange = self._limits, self._profile, self._can, self._exchange
        method = choose_method(profile, can)
        switch = self._switch if can.switch else None
        if method == "native":
            # what counts its thinking also takes it apart: content that comes alone is an answer
            exchange.parse_as(expect_tags_in_text(profile))
        elif profile.hybrid and not (profile.hybrid == "on" if switch is None else switch):
            exchange.parse_as(expect_tags_in_text(profile))  # no opener is pre-filled
        elif profile.system_switch and not limits.thinking:
            exchange.parse_as(expect_tags_in_text(profile))
        prompt = replace(
            self._prompt,
            max_tokens=limits.total,
            thinking=self._switch,
            max_reasoning_tokens=limits.thinking if method == "native" else None,
        )
        watched = limits.asked and method in {"close", "reask"}
        estimate, cut = Estimate(), False
        async with aclosing(exchange.ask(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning and watched and estimate.add(delta.reasoning) > limits.thinking:
                    cut = True
                    break
                yield delta
        parser, can_continue = exchange.parser, can.continuation and not needs_one_request(prompt.features)
        for delta in to_deltas(parser.settle(cut=exchange.finish_reason == "length")):
            yield delta  # a closer at the very end may have been held back
        if parser.answered or exchange.has_called or not self._has_thought:
            return
        if not (cut or parser.truncated or exchange.has_field) or not can_continue or method == "reask":
            return  # also where it has closed its thinking, and then said nothing
        self.outcome = "closed"
        opening, closer = self._opening if exchange.has_field else "", parser.closer
        for delta in to_deltas(parser.close()):
            yield delta
        prefix = f"{opening}{exchange.text.rstrip()}\n{closer}\n\n"
        stops = self._task.prompt.stop
        answer = replace(self._prompt, stop=stops, prefix=prefix, max_tokens=limits.answer)
        async with aclosing(exchange.ask_if_it_fits(answer)) as deltas:
            async for delta in deltas:
                yield delta

    async def _ask_without_thinking(self) -> AsyncGenerator[Delta]:
        """Ask the question again, without thinking. The reply is read to its end before it is parsed."""
        profile, exchange = self._profile, self._exchange
        self.outcome, exchange.thinks = "truncated", False
        prompt = replace(self._prompt, max_tokens=self._limits.answer)
        if profile.trace == "prompted":
            profile = trust_beginning(PROFILES["unknown"])
        else:
            if profile.hybrid and self._can.switch:
                profile = expect_tags_in_text(profile)
            prompt = self._answer_directly(prompt, least_effort(profile))
        between = "\n" if exchange.parser.thought else ""
        exchange.restart(PROFILES["none"])
        async with aclosing(exchange.ask(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning:
                    yield Delta(reasoning=between + delta.reasoning)
                    between = ""
                elif delta.held_back is not None:
                    yield delta
        text = exchange.content
        cut = exchange.finish_reason != "stop"
        if exchange.has_field:  # the engine has separated thinking and answer by itself
            reasoning, content = "", text
        else:
            reasoning, content = split_reasoning(text, expect_tags_in_text(profile), cut=cut)
        aloud = sounds_like_thinking(text, sure=True) or deliberates(text)
        unclosed = profile.closer not in text and cut and not exchange.has_field
        if unclosed and (profile.trace == "prefilled" or aloud):
            reasoning, content = text, ""
        if reasoning:
            yield Delta(reasoning=between + reasoning)
        if content.strip():
            self.outcome = "reasked"
            yield Delta(content=content.lstrip())

    def _answer_directly(self, prompt: Prompt, effort: str) -> Prompt:
        """Write the prompt that asks for the answer alone, in every way that the engine has."""
        role, question = prompt.messages[-1]
        return replace(
            prompt,
            messages=(*prompt.messages[:-1], (role, f"{question}\n\n{_DIRECTLY}")),
            thinking=False,
            effort=effort,
            max_reasoning_tokens=0 if self._can.native_budget else prompt.max_reasoning_tokens,
        )
