"""One chat completion: an engine's deltas, timed and bound by the deadline, as OpenAI's chunks or reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from services.core.completion import (
    CallCollector,
    ChunkWriter,
    fallback_headers,
    fallback_marks,
    misplaced_fields,
    move_misplaced,
)
from services.core.context import seconds_left, within_deadline
from services.core.errors import ServiceError
from services.core.sse import DONE
from services.core.tracing import ChatReplyAttributes, ChatRequestAttributes, ChatSpan
from services.core.wire.chat import (
    AssistantMessage,
    ChatChoice,
    ChatReply,
    CompletionTokensDetails,
    Ending,
    Usage,
    split_ending,
)
from services.core.wire.features import Logprobs, TokenLogprob
from services.core.wire.sampling import Sampling
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.entries import ModelEntry
from services.generation.features import refuse_unsupported
from services.generation.metrics import GenerationMetrics, Timing
from services.generation.reasoning.budget import sum_counts
from services.generation.reasoning.delivery import deliver
from services.generation.reasoning.thinking import Thinking
from services.generation.registry import Registry
from services.generation.task import NoAnswer, Task, WaitLimits

SERVICE = "generation"


class Completion:
    """Answers one request by one entry, or by a fallback of it. Use `stream` or `reply`, once.

    Args:
        registry: Owns the engines.
        metrics: The service's metrics.
        entry: The entry that the request names.
        task: Writes the request in the terms of the entry that answers.
    """

    def __init__(
        self,
        registry: Registry,
        metrics: GenerationMetrics,
        entry: ModelEntry,
        task: Callable[[ModelEntry], Task],
    ) -> None:
        self._registry = registry
        self._route = registry.route(entry)
        self._task = task
        self._misplaced = self._written = 0
        self._held = 0.0
        self._thinker = ""
        self._spent: list[TokenCounts | None] = []
        self._timing = Timing(metrics)
        self._tracer = metrics.tracer
        self._chunks = ChunkWriter()

    @property
    def headers(self) -> dict[str, str]:
        """The reply's headers; they are complete once the first event or the reply is there."""
        timings = ", ".join(f"{name};dur={ms:.1f}" for name, ms in self._timing.milliseconds.items())
        known = {"server-timing": timings} if timings else {}
        return known | fallback_headers(self._fallback_marks, self._model)

    async def stream(self, *, include_usage: bool) -> AsyncGenerator[bytes]:
        """Yield server-sent events up to `[DONE]`.

        Nothing comes before the engine's first delta, so that a failure until then can still be a status.
        """
        announced: str | None = None
        async with aclosing(self._deltas()) as deltas:
            async for delta in deltas:
                if announced is None:
                    announced = self._model
                    yield self._chunk({"role": "assistant", "content": ""}, self._fallback_marks)
                if delta.has_output:
                    degraded = self._fallback_marks if announced != self._model else []
                    announced = self._model
                    yield self._write_output(delta, degraded)
                elif delta.held_back is not None:
                    held = {"held_back": round(delta.held_back * 1e3, 1)}
                    yield self._chunks.delta(self._model, {}, fields=held)
                if delta.finish_reason:
                    yield self._chunk({}, self._fallback_marks, delta.finish_reason)
                    if include_usage and delta.tokens:
                        yield self._chunks.usage(self._model, _usage(delta.tokens))
        yield DONE

    async def reply(self) -> ChatReply:
        """Return the whole answer in one piece."""
        content: list[str] = []
        reasoning: list[str] = []
        calls = CallCollector()
        logprobs: list[TokenLogprob] = []
        last = Delta()
        async with aclosing(self._deltas()) as deltas:
            async for delta in deltas:
                content.append(delta.content)
                reasoning.append(delta.reasoning)
                calls.add(delta.tool_calls)
                logprobs += delta.logprobs
                last = delta
        if last.finish_reason is None:
            raise ServiceError(f"model {self._model} ended without a finish reason", service=SERVICE)
        finish_reason, outcome = split_ending(last.finish_reason)
        answer, thought = move_misplaced("".join(content), "".join(reasoning), self._misplaced)
        message = AssistantMessage(
            content=answer or (None if calls.calls else ""),
            reasoning_content=thought or None,
            tool_calls=calls.calls or None,
        )
        return ChatReply(
            id=self._chunks.id,
            created=self._chunks.created,
            model=self._model,
            choices=[
                ChatChoice(
                    message=message,
                    finish_reason=finish_reason,
                    logprobs=Logprobs(content=logprobs) if logprobs else None,
                )
            ],
            usage=_usage(last.tokens) if last.tokens else None,
            outcome=outcome,
            degraded=self._fallback_marks,
        )

    @property
    def _model(self) -> str:
        return self._route.used.name

    @property
    def _fallback_marks(self) -> list[str]:
        return fallback_marks(self._route.passed_over)

    async def _deltas(self) -> AsyncGenerator[Delta]:
        """Yield the engine's deltas up to the one with the finish reason; each wait ends at the deadline."""
        outcome: Literal["error", "cancelled"] = "cancelled"
        last: Delta | None = None
        try:
            async with aclosing(
                self._route.stream(self._attempt, unanswered=_gives_no_answer, answers=_has_content)
            ) as deltas:
                while last is None or last.finish_reason is None:
                    async with within_deadline("the model's answer", service=SERVICE):
                        last = await anext(deltas, None)
                    if last is None:
                        raise ServiceError(
                            f"model {self._model} ended without a finish reason", service=SERVICE
                        )
                    self._timing.see(last)
                    self._written += len(last.content)
                    if last.finish_reason:
                        last = replace(last, tokens=sum_counts(self._spent))
                    yield self._separate_thinking(last) if last.reasoning else last
        except Exception:
            outcome = "error"
            raise
        finally:
            if last is None or last.finish_reason is None:
                self._timing.break_off(self._model, outcome)
            else:
                self._timing.finish(last.tokens)
            if last is not None:
                self._timing.count_fallbacks(self._route.passed_over, self._model)

    async def _attempt(self, entry: ModelEntry) -> AsyncGenerator[Delta]:
        """Yield the deltas of one entry, from the wait for its engine on."""
        task = replace(self._task(entry), waits=self._decide_waits(entry))
        before = self._written
        with ChatSpan(self._tracer, _request_attributes(entry, task.prompt)) as span:
            async with self._registry.lease(entry) as engine:
                refuse_unsupported(task.prompt, entry, engine.capabilities)
                task = self._registry.openings.adapt(task, entry.name, engine.capabilities)
                thinking = Thinking(engine, task)
                try:
                    async with aclosing(span.follow(deliver(thinking, task))) as deltas:
                        async for delta in deltas:
                            if delta.finish_reason:
                                self._repair(entry, thinking, before)
                                span.end_answered(_reply_attributes(entry, delta, self._timing.first_token))
                                self._timing.count_thinking(entry.name, thinking.outcome)
                                self._timing.end_entry(entry.name, delta.finish_reason, delta.tokens)
                                self._spent.append(delta.tokens)
                            yield delta
                except NoAnswer as error:
                    raise NoAnswer(f"model {entry.name} {error.message}", service=SERVICE) from error

    def _decide_waits(self, entry: ModelEntry) -> WaitLimits:
        """Decide how long the entry may keep silent: as it says, else as long as leaves its fallback time."""
        first = entry.first_token_seconds
        left = seconds_left()
        if first is None and entry.endpoint and left is not None and self._route.has_next:
            first = left / 2
        return WaitLimits(entry.name, first, entry.between_tokens_seconds)

    def _repair(self, entry: ModelEntry, thinking: Thinking, before: int) -> None:
        """Remember how much of the content was thinking, so that a reply in one piece can be put right.

        In a stream these characters have gone out as content. All that came `before`, from entries that gave
        no answer, can be nothing else than thinking.
        """
        self._misplaced = before + thinking.misplaced
        self._held += thinking.held_seconds
        if thinking.held_seconds:
            self._registry.openings.note_held(entry.name, thinking.held_seconds)
        if thinking.lacks_opener:
            self._registry.openings.note(entry.name, shown=thinking.misplaced)

    def _separate_thinking(self, delta: Delta) -> Delta:
        """Begin the thinking of a second entry on a new line."""
        thinker, self._thinker = self._thinker, self._model
        return delta if thinker in {"", self._model} else replace(delta, reasoning=f"\n{delta.reasoning}")

    def _write_output(self, delta: Delta, degraded: list[str]) -> bytes:
        pieces = {"content": delta.content, "reasoning_content": delta.reasoning}
        fields: dict[str, object] = {name: text for name, text in pieces.items() if text}
        if delta.tool_calls:
            fields["tool_calls"] = [call.model_dump(exclude_none=True) for call in delta.tool_calls]
        more: dict[str, object] = {"degraded": degraded} if degraded else {}
        return self._chunks.delta(self._model, fields, fields=more, logprobs=delta.logprobs)

    def _chunk(self, delta: dict[str, str], degraded: list[str], ending: Ending | None = None) -> bytes:
        fields: dict[str, object] = {"degraded": degraded} if degraded else {}
        if ending is None:
            return self._chunks.delta(self._model, delta, fields=fields)
        finish_reason, outcome = split_ending(ending)
        fields["outcome"] = outcome
        if self._held:
            fields["held_back"] = round(self._held * 1e3, 1)
        if self._misplaced:
            fields |= misplaced_fields(self._misplaced, finish_reason, outcome)
            finish_reason = "length"
        return self._chunks.delta(self._model, delta, finish_reason, fields)


def _has_content(delta: Delta) -> bool:
    return bool(delta.content or delta.tool_calls)


def _gives_no_answer(delta: Delta) -> bool:
    return delta.finish_reason == "reasoning_truncated"


def _usage(tokens: TokenCounts) -> Usage:
    return Usage(
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        total_tokens=tokens.prompt + tokens.completion,
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=tokens.reasoning),
        estimated=tokens.estimated,
    )


def _request_attributes(entry: ModelEntry, prompt: Prompt) -> ChatRequestAttributes:
    return ChatRequestAttributes(
        model=entry.model_id,
        entry=entry.name,
        provider=entry.engine,
        sampling=Sampling.model_construct(
            max_tokens=prompt.max_tokens,
            temperature=prompt.temperature,
            top_p=prompt.top_p,
            seed=prompt.seed,
            stop=prompt.stop,
        ),
    )


def _reply_attributes(entry: ModelEntry, last: Delta, first_token: float | None) -> ChatReplyAttributes:
    tokens = last.tokens
    return ChatReplyAttributes(
        model=entry.model_id,
        finish_reason=last.finish_reason or "",
        input_tokens=tokens.prompt if tokens else None,
        output_tokens=tokens.completion if tokens else None,
        reasoning_tokens=tokens.reasoning if tokens else None,
        first_token=first_token,
    )
