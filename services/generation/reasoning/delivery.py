"""An answer as a client gets it: never empty with `stop`, up to the request's own stop strings, as text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from services.core.control import restore_call, restore_text
from services.generation.backend import Delta
from services.generation.reasoning.thinking import Thinking
from services.generation.task import NoAnswer, Task
from services.generation.text import StopScanner, TurnTrimmer

FEW_TOKENS = 16

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
"""Characters without width: an answer of them alone is none."""


async def deliver(thinking: Thinking, task: Task) -> AsyncGenerator[Delta]:
    """Yield the deltas of `thinking` as the client gets them.

    Stop strings count in the answer alone: an engine that looked for them by itself would end the thinking at
    one. Content is empty with `stop` only where a stop string came first.

    Args:
        thinking: The question, asked of an engine.
        task: The same request.

    Raises:
        NoAnswer: The engine ended its answer before it began.
        ServiceError: The engine fails.
        ContextLengthExceeded: The prompt does not fit, also where less is set aside for thinking.
    """
    trimmer, scanner = TurnTrimmer(), StopScanner(task.prompt.stop)
    blank, answers, has_called = "", False, False
    async with aclosing(thinking.deltas()) as deltas:
        async for delta in deltas:
            reasoning, content, calls = delta.reasoning, delta.content, delta.tool_calls
            if task.broken_up:
                reasoning, content = restore_text(reasoning), restore_text(content)
                calls = tuple(map(restore_call, calls))
            if content:
                content = scanner.push(trimmer.push(content))
            if delta.finish_reason and not scanner.stopped:
                content += scanner.push(trimmer.flush()) + scanner.flush()
            if calls:
                blank, answers, has_called = "", True, True
            if not answers:
                blank += content
                answers = bool(blank.translate(_INVISIBLE).strip())
                content = blank if answers else ""
            if delta.held_back is not None:
                yield delta
            elif reasoning or content or calls or delta.logprobs:
                yield Delta(content, reasoning, tool_calls=calls, logprobs=delta.logprobs)
            if scanner.stopped or (trimmer.stopped and answers):
                yield thinking.stop()
                return
            if delta.finish_reason:
                last = delta if answers else judge_empty(delta, task)
                yield last if has_called else uncall(last)


def uncall(last: Delta) -> Delta:
    """Return the last delta of an answer that calls no tool, whatever its server says."""
    is_call = last.finish_reason in {"tool_calls", "function_call"}
    return replace(last, finish_reason="stop") if is_call else last


def judge_empty(last: Delta, task: Task) -> Delta:
    """Return the last delta of an answer that has no text.

    Args:
        last: The delta with the finish reason.
        task: The request. One with stop strings may have met one at once, one for a few tokens may get none
            that are text.

    Raises:
        NoAnswer: Nothing says why there is no text.
    """
    if last.finish_reason in {"content_filter", "reasoning_truncated"}:
        return last
    if last.tokens is not None and last.tokens.reasoning:  # it has thought where nobody could see it
        return replace(last, finish_reason="reasoning_truncated")
    few = last.finish_reason == "length" and task.limits.total <= FEW_TOKENS
    if task.prompt.stop or few:
        return last
    reasons = {
        "tool_calls": "calls a tool that nobody offered",
        "length": "was cut by a limit of tokens before its answer began: raise `max_tokens`, or its context",
    }
    raise NoAnswer(reasons.get(last.finish_reason or "", "ended its answer before it began"))
