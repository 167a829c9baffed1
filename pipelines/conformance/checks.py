"""What a chat completions endpoint must do, as checks of what it was observed to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from services.core.errors import InvalidRequest, RaglineError
from services.core.wire.chat import FinishReason, Usage

Result = Literal["pass", "fail", "n/a"]
Verdict = tuple[Result, str]

TAGS = re.compile(
    r"</?(think|thinking|reasoning|thought)>|\[/?THINK\]|<\|(channel|message|begin_of_thought|end_of_thought)\|>"
    r"|assistantfinal|Here is my thought process:",
)
"""What a trace begins or ends with, as the families of reasoning models write it."""

REASONS = frozenset(get_args(FinishReason))
CUT = frozenset({"length"})
SLACK_SECONDS = 2.0


@dataclass(slots=True)
class Stream:
    """One streamed completion; `channels` has "reasoning" or "content" for each piece of text in order."""

    content: str = ""
    reasoning: str = ""
    channels: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    done: bool = False
    after_done: int = 0
    first_seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion in one piece."""

    content: str
    reasoning: str
    finish_reason: str
    usage: Usage | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """`cut` had a limit of a few tokens; `after_cancel` followed a stream that was hung up on; `refusals`
    are what each kind of bad request got, None where it was accepted."""

    stream: Stream
    reply: Reply
    cut: Stream
    after_cancel: Stream
    refusals: dict[str, RaglineError | None]


def _check_answers(seen: Observed) -> Verdict:
    if seen.stream.error:
        return "fail", seen.stream.error
    if seen.stream.content:
        return "pass", f"{len(seen.stream.content)} characters"
    return "fail", f"no content, finish_reason {seen.stream.finish_reason}"


def _check_ends(seen: Observed) -> Verdict:
    if not seen.stream.done:
        return "fail", "the stream ends without data: [DONE]"
    if seen.stream.after_done:
        return "fail", f"{seen.stream.after_done} events after [DONE]"
    return "pass", "[DONE] is the last event"


def _check_usage(seen: Observed) -> Verdict:
    for name, usage in (("stream", seen.stream.usage), ("reply", seen.reply.usage)):
        if usage is None:
            return "fail", f"the {name} has no usage"
        if usage.prompt_tokens < 1 or usage.completion_tokens < 1:
            return "fail", f"the {name} counts {usage.prompt_tokens} + {usage.completion_tokens} tokens"
        if usage.total_tokens != usage.prompt_tokens + usage.completion_tokens:
            return "fail", f"the {name}'s total is {usage.total_tokens}, which is not the sum"
    return "pass", "in the stream and in the reply"


def _check_reason(seen: Observed) -> Verdict:
    for name, reason in (("stream", seen.stream.finish_reason), ("reply", seen.reply.finish_reason)):
        if reason not in REASONS:
            return "fail", f"the {name}'s finish_reason is {reason!r}"
    return "pass", f"{seen.stream.finish_reason}"


def _check_limit(seen: Observed) -> Verdict:
    if seen.cut.error:
        return "fail", seen.cut.error
    if seen.cut.finish_reason in CUT:
        return "pass", f"cut by its limit: {seen.cut.finish_reason}"
    return "fail", f"cut by its limit, and finish_reason is {seen.cut.finish_reason!r}"


def _check_never_empty(seen: Observed) -> Verdict:
    for name, one in (("stream", seen.stream), ("reply", seen.reply), ("cut stream", seen.cut)):
        if one.finish_reason == "stop" and not one.content:
            return "fail", f"the {name} has no content and says stop"
    return "pass", "no empty content with stop"


def _check_channel(seen: Observed) -> Verdict:
    if seen.stream.reasoning:
        return "pass", f"{len(seen.stream.reasoning)} characters of reasoning beside the content"
    if TAGS.search(seen.stream.content):
        return "fail", "the trace is in the content"
    return "n/a", "this model did not think"


def _check_tags(seen: Observed) -> Verdict:
    for name, one in (("stream", seen.stream), ("reply", seen.reply), ("cut stream", seen.cut)):
        found = TAGS.search(one.content)
        if found:
            return "fail", f"{found.group()!r} in the {name}'s content"
    return "pass", "none in any content"


def _check_order(seen: Observed) -> Verdict:
    channels = seen.stream.channels
    if "reasoning" not in channels:
        return "n/a", "one channel only"
    if "content" in channels and "reasoning" in channels[channels.index("content") :]:
        return "fail", "reasoning after the answer has begun"
    return "pass", "reasoning, then content"


def _check_reply(seen: Observed) -> Verdict:
    if seen.reply.error:
        return "fail", seen.reply.error
    if bool(seen.reply.reasoning) != bool(seen.stream.reasoning):
        return "fail", "reasoning in the stream or in the reply, not in both"
    return "pass", "the same channels as the stream"


def _check_cancel(seen: Observed) -> Verdict:
    first, after = seen.stream.first_seconds, seen.after_cancel.first_seconds
    if after is None:
        return "fail", seen.after_cancel.error or "no token after a hang-up"
    if first is not None and after > 3 * first + SLACK_SECONDS:
        return "fail", f"after a hang-up the first token takes {after:.1f} s, before it {first:.1f} s"
    return "pass", f"after a hang-up the first token takes {after:.1f} s"


def _check_refusal(kind: str) -> Callable[[Observed], Verdict]:
    def check(seen: Observed) -> Verdict:
        error = seen.refusals[kind]
        if error is None:
            return "fail", "accepted"
        if not isinstance(error, InvalidRequest):
            return "fail", f"status {error.status}: {error.message}"
        if not error.message.strip():
            return "fail", f"status {error.status} without a message"
        return "pass", f"{error.status}: {error.message}"

    return check


REFUSALS = ("no messages", "unknown model", "broken JSON")

CHECKS: Sequence[tuple[str, Callable[[Observed], Verdict]]] = (
    ("answers", _check_answers),
    ("stream ends in [DONE]", _check_ends),
    ("usage is there", _check_usage),
    ("finish reason is real", _check_reason),
    ("a limit is told as one", _check_limit),
    ("content is never empty with stop", _check_never_empty),
    ("reasoning is a channel of its own", _check_channel),
    ("no tags in the content", _check_tags),
    ("reasoning comes first", _check_order),
    ("a reply has the stream's channels", _check_reply),
    ("a hang-up frees the engine", _check_cancel),
    *((f"refuses: {kind}", _check_refusal(kind)) for kind in REFUSALS),
)


def judge(seen: Observed) -> list[tuple[str, Result, str]]:
    """Run every check; returns its name, its result and why."""
    return [(name, *check(seen)) for name, check in CHECKS]
