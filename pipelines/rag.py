"""The chain: find the passages, prompt, generate, cite."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from pipelines.citations import cite
from pipelines.clock import AnswerClock
from pipelines.context import locate_citations
from pipelines.conversation import holds_answer, is_small_talk
from pipelines.limits import limit_waits, within_limit
from pipelines.prompting import (
    ABSTENTION,
    CONVERSATION,
    PromptName,
    Template,
    build_conversation,
    build_messages,
)
from pipelines.search import Evidence, Finder, Search
from services.core.clients.generation import ChatDelta
from services.core.completion import move_misplaced, skipped_entries
from services.core.errors import ServiceError
from services.core.tracing import ChatReplyAttributes, ChatRequestAttributes, ChatSpan
from services.core.wire.answer import FileCitation, FrozenContext, Timings
from services.core.wire.chat import ChatMessage, Ending, FinishReason, Outcome, Usage, split_ending
from services.core.wire.features import Features, TokenLogprob, ToolCallDelta
from services.core.wire.sampling import Sampling

NAMING_SECONDS = 5.0
"""Longest wait for the name of an entry that is not asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the last user turn, the turns before it, and how to answer."""

    text: str
    history: tuple[ChatMessage, ...] = ()
    model: str = ""
    prompt: PromptName = "plain"
    search: Search = field(default_factory=Search)
    sampling: Sampling = field(default_factory=Sampling)
    features: Features = field(default_factory=Features)
    follow: tuple[ChatMessage, ...] = ()
    """What stands after the question: calls of tools, and their replies."""
    direct: bool = False
    """The model gets the conversation as it is: nothing is searched for, and no instruction is added."""

    @property
    def needs_passages(self) -> bool:
        """Whether only passages can carry its answer: nothing that came with it does."""
        came = self.direct or self.search.given is not None or bool(self.features.tools)
        return not came and not holds_answer(self.text, self.history, self.follow)

    template: Template | None = None
    """The prompt's last message, in place of what `prompt` makes of question and passages."""
    salt: str = ""
    """The prompt's first line, where it must not begin as another one does (engines cache prefixes)."""
    routed_by: str = ""
    """What chose `model`, where the request named none: `split`."""


@dataclass(frozen=True, slots=True)
class Found:
    """The first event: the passages the answer will come from, and the timings up to now.

    An empty context: an abstention follows.
    """

    context: FrozenContext
    degraded: tuple[str, ...]
    model: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of output: in one of its two channels, of calls of tools, or the tokens' log probabilities.

    An empty one says that the engine is at work, while its text is held back.
    """

    model: str
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event."""

    model: str
    finish_reason: FinishReason
    outcome: Outcome
    usage: Usage
    timings: Timings
    citations: list[FileCitation]
    degraded: tuple[str, ...]
    misplaced: int = 0
    """So many characters of the content, from its start, turned out to be thinking."""

    @property
    def abstained(self) -> bool:
        """Whether no model was asked."""
        return self.outcome == "abstained"


Event = Found | Piece | Finished


@dataclass(frozen=True, slots=True)
class RagPipeline(Finder):
    """A finder of passages that also answers from them; `observe` hears of every answer when it is whole."""

    observe: Callable[[Question, Finished], None] | None = None

    async def answer(self, question: Question) -> AsyncGenerator[Event]:
        """Yield `Found`, then `Piece`s, then `Finished`; closing it cancels the engine's generation.

        For a greeting or thanks nothing is searched for: no passage bears on it, whatever its score.

        Raises what the services raise, and `DeadlineExceeded` that names a stage which takes longer than its
        limit; nothing is yielded before the first piece of output is there, so that a failure up to then
        keeps its own status.
        """
        clock = AnswerClock(self.metrics)
        found = Evidence()
        if question.search.given is not None or not is_small_talk(question.text):
            found = await self.find(
                question.text, question.search, clock, history=question.history, model=question.model
            )
        async with aclosing(self.answer_from(question, found, clock)) as events:
            async for event in events:
                yield event

    async def answer_from(
        self, question: Question, found: Evidence, clock: AnswerClock
    ) -> AsyncGenerator[Event]:
        """Answer as `answer` does, from passages that were found before; `clock` goes on from there."""
        passages, degraded = found.passages, found.degraded
        context = found.freeze()
        if not passages and question.needs_passages:
            model = await self._name_entry(question.model)
            yield Found(context, degraded, model, clock.timings())
            yield Piece(model=model, content=ABSTENTION)
            yield _make_abstention(model, clock, degraded)
            return
        prompt = _write_prompt(question, found)
        clock.mark_asked()
        stream = self.generation.chat(
            prompt, model=question.model, sampling=question.sampling, features=question.features
        )
        collected = _Collected(model=question.model, degraded=degraded)
        announced = False
        with self._span(question) as span:
            async with aclosing(limit_waits(span.follow(stream), self.limits)) as deltas:
                async for delta in deltas:
                    output = delta.content or delta.reasoning or delta.tool_calls
                    if output:
                        clock.mark_token(reasoning=bool(delta.reasoning) and not delta.content)
                    collected.add(delta)
                    is_held = delta.held_back is not None and not delta.finish_reason
                    if not announced and (output or delta.logprobs or delta.finish_reason or is_held):
                        announced = True
                        yield Found(context, collected.degraded, collected.model, clock.timings())
                    if output or delta.logprobs or is_held:
                        yield Piece(
                            collected.model, delta.content, delta.reasoning, delta.tool_calls, delta.logprobs
                        )
            finished = collected.finish(clock, found)
            self._account(finished, span)
        if self.observe is not None:
            self.observe(question, finished)
        yield finished

    async def _name_entry(self, model: str) -> str:
        """Name the entry that a request means, where no model is asked; as it is where nobody can tell.

        Raises:
            NotFound: There is no such entry.
        """
        try:
            async with within_limit("generation", NAMING_SECONDS, "NAMING_SECONDS"):
                listed = await self.generation.models()
        except ServiceError:
            return model
        return listed.find(model).id

    def _span(self, question: Question) -> ChatSpan:
        request = ChatRequestAttributes(question.model, provider="ragline", sampling=question.sampling)
        return ChatSpan(self.metrics.tracer if self.metrics else None, request)

    def _account(self, finished: Finished, span: ChatSpan) -> None:
        is_truncated = finished.outcome == "reasoning_truncated"
        usage, seconds = finished.usage, (finished.timings.generation or 0.0) / 1e3
        span.end_answered(
            ChatReplyAttributes(
                model=finished.model,
                finish_reason="reasoning_truncated" if is_truncated else finished.finish_reason,
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                reasoning_tokens=usage.completion_tokens_details.reasoning_tokens,
            )
        )
        if self.metrics is not None:
            self.metrics.observe_stage("generation", seconds, finished.model)
            if skipped_entries(finished.degraded):
                self.metrics.count_degraded("generation")


def _write_prompt(question: Question, found: Evidence) -> list[ChatMessage]:
    """Write the prompt; without passages that were searched for it is the conversation itself."""
    if question.template is not None:
        filled = question.template.fill(question.text, found.passages)
        return build_conversation(filled, question.history, instruction=question.salt, follow=question.follow)
    if question.direct or not (found.passages or question.search.given is not None):
        return build_conversation(
            question.text,
            question.history,
            instruction="" if question.direct else "\n".join(filter(None, [question.salt, CONVERSATION])),
            follow=question.follow,
        )
    return build_messages(
        question.prompt,
        question.text,
        found.passages,
        question.history,
        follow=question.follow,
        salt=question.salt,
        unsure=found.is_unsure,
    )


@dataclass(slots=True)
class _Collected:
    """What a stream has said so far."""

    model: str
    degraded: tuple[str, ...]
    parts: list[str] = field(default_factory=list)
    finish_reason: Ending | None = None
    usage: Usage | None = None
    misplaced: int = 0
    held_back: float | None = None

    def add(self, delta: ChatDelta) -> None:
        self.model = delta.model or self.model
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage
        self.misplaced = delta.misplaced or self.misplaced
        self.held_back = delta.held_back if delta.finish_reason else self.held_back
        self.degraded += tuple(mark for mark in delta.degraded if mark not in self.degraded)
        if delta.content:
            self.parts.append(delta.content)

    def finish(self, clock: AnswerClock, found: Evidence) -> Finished:
        if self.finish_reason is None:
            raise ServiceError("generation ended without a finish_reason", service="generation")
        if self.usage is None:
            raise ServiceError("generation sent no usage: the engine must count tokens", service="generation")
        finish_reason, outcome = split_ending(self.finish_reason)
        content, _ = move_misplaced("".join(self.parts), "", self.misplaced)
        return Finished(
            model=self.model,
            finish_reason=finish_reason,
            outcome="answered_without_passages" if outcome == "answered" and not found.passages else outcome,
            usage=self.usage,
            timings=clock.timings(
                0 if self.usage.estimated else self.usage.completion_tokens, held_back=self.held_back
            ),
            citations=locate_citations(cite(content, found.passages), found.stretches),
            degraded=self.degraded,
            misplaced=self.misplaced,
        )


def _make_abstention(model: str, clock: AnswerClock, degraded: tuple[str, ...]) -> Finished:
    """End an answer for which no model was asked: it has no tokens."""
    usage = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    return Finished(
        model=model,
        finish_reason="stop",
        outcome="abstained",
        usage=usage,
        timings=clock.timings(),
        citations=[],
        degraded=degraded,
    )
