"""The times and tokens of an answer as its user has them: with the search that its arms share counted in.

A context is searched for once, and all arms answer from it: a reply whose timings begin after the search gets
the context's search time added to the three that run from "request in", the same for every arm.
"""

from __future__ import annotations

from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.metric import AnswerInContext, answer_metric
from services.core.wire.answer import SEARCH_STAGES, Timings


def search_time(context: Context) -> float:
    """How long the passages took to find, in ms: 0 where they came with the question."""
    return context.timings.e2el if context.timings is not None else 0.0


def includes_search(timings: Timings) -> bool:
    """Whether these timings began before a search: they then name its stages."""
    return any(stage_time(timings, name) is not None for name in SEARCH_STAGES)


def stage_time(timings: Timings | None, name: str) -> float | None:
    """The time of the stage `name` in ms; None where it did not happen."""
    value: float | None = getattr(timings, name, None)
    return value


@answer_metric(
    "ttft", family="latency", order=10, higher_is_better=False, unit="ms", heading="TTFT", as_ratio=True,
    percentiles="all", curve="first token of any kind", late_as_bound=True,
)  # fmt: skip
def ttft(answer: AnswerInContext) -> float | None:
    """The time to the first token of any kind, thinking and search included."""
    return _since_request(answer, "ttft")


@answer_metric(
    "ttfo", family="latency", order=20, higher_is_better=False, unit="ms", heading="TTFO", as_ratio=True,
    percentiles="all", curve="first token of the answer", late_as_bound=True,
)  # fmt: skip
def ttfo(answer: AnswerInContext) -> float | None:
    """The time to the first token of the answer, search included."""
    return _since_request(answer, "ttfo")


@answer_metric(
    "think", family="latency", order=30, higher_is_better=False, unit="ms", label="think time",
    percentiles="positive",
)  # fmt: skip
def think(answer: AnswerInContext) -> float | None:
    """The time from the first token of the thinking to the first of the answer; 0 of an answer without
    thinking."""
    timings = answer.reply.timings
    if timings is None or timings.think is not None:
        return None if timings is None else timings.think
    return 0.0 if timings.ttfo is not None and not answer.reply.reasoning_content else None


@answer_metric(
    "tpot", family="latency", order=40, higher_is_better=False, unit="ms", heading="TPOT", percentiles="all",
    source="vLLM",
)  # fmt: skip
def tpot(answer: AnswerInContext) -> float | None:
    """(E2EL - TTFT) / (output tokens - 1), the search apart."""
    return answer.reply.timings.tpot if answer.reply.timings else None


@answer_metric(
    "e2el", family="latency", order=50, higher_is_better=False, unit="ms", primary=True, heading="E2EL",
    as_ratio=True, percentiles="all", curve="the whole answer", late_as_bound=True,
)  # fmt: skip
def e2el(answer: AnswerInContext) -> float | None:
    """The time from the request to the last token, search included."""
    return _since_request(answer, "e2el")


@answer_metric(
    "completion tokens", family="latency", order=60, higher_is_better=False, unit="tokens", as_ratio=True
)
def completion_tokens(answer: AnswerInContext) -> float | None:
    """The tokens of answer and thinking, as the engine counts them."""
    return float(answer.reply.usage.completion_tokens) if answer.reply.usage else None


@answer_metric("reasoning tokens", family="latency", order=70, higher_is_better=False, unit="tokens")
def reasoning_tokens(answer: AnswerInContext) -> float | None:
    """The tokens of the thinking. 0 beside thinking is an engine that did not count it: no score."""
    usage = answer.reply.usage
    tokens = usage.completion_tokens_details.reasoning_tokens if usage else None
    if tokens is None or (not tokens and answer.reply.reasoning_content):
        return None
    return float(tokens)


def _since_request(answer: AnswerInContext, name: str) -> float | None:
    timings = answer.reply.timings
    value = stage_time(timings, name)
    if timings is None or value is None:
        return None
    return value if includes_search(timings) else value + search_time(answer.context)
