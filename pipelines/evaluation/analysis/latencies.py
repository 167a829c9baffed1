"""The times of an answer as its user has them: with the search that its arms share counted in, once."""

from __future__ import annotations

from pipelines.evaluation.bundle.records import Context
from services.core.wire.answer import SEARCH_STAGES, Timings
from services.core.wire.compare import ArmReply

STAGES = (*SEARCH_STAGES, "prefill", "think", "answer")
"""Those of the waterfall, in their order."""


def search_time(context: Context) -> float:
    """How long the passages took to find, in ms: 0 where they came with the question."""
    return context.timings.e2el if context.timings is not None else 0.0


def latencies(reply: ArmReply, context: Context) -> dict[str, float]:
    """`ttft`, `ttfo`, `e2el`, `think` and `tpot` in ms, and tokens; those that are known.

    A context is searched for once, and all arms answer from it: a reply whose timings begin after the search
    gets the context's search time added to the three that run from "request in", the same for every arm.
    `think` is 0 where an answer came without thinking.
    """
    found: dict[str, float] = {}
    if (timings := reply.timings) is not None:
        before = 0.0 if _with_search(timings) else search_time(context)
        for name, value in (("e2el", timings.e2el), ("ttft", timings.ttft), ("ttfo", timings.ttfo)):
            if value is not None:
                found[name] = value + before
        if timings.think is not None:
            found["think"] = timings.think
        elif timings.ttfo is not None and not reply.reasoning_content:
            found["think"] = 0.0
        if timings.tpot is not None:
            found["tpot"] = timings.tpot
    if (usage := reply.usage) is not None:
        found["completion tokens"] = float(usage.completion_tokens)
        thought = usage.completion_tokens_details.reasoning_tokens
        # 0 beside thinking is an engine that did not count it
        if thought or (thought is not None and not reply.reasoning_content):
            found["reasoning tokens"] = float(thought)
    return found


def stages(reply: ArmReply, context: Context) -> dict[str, float]:
    """The stages of one answer that happened, in ms. `prefill` is from the end of the search to the first
    token of any kind, `answer` from the first answer token to the end."""
    timings = reply.timings
    if timings is None:
        return {}
    own = _with_search(timings)
    searched = timings if own else context.timings
    found = {name: _stage(searched, name) for name in SEARCH_STAGES}
    if timings.ttft is not None:
        before = (search_time(context) or sum(each or 0.0 for each in found.values())) if own else 0.0
        found["prefill"] = max(0.0, timings.ttft - before)
    found["think"] = timings.think
    if timings.ttfo is not None:
        found["answer"] = timings.e2el - timings.ttfo
    return {name: value for name, value in found.items() if value is not None}


def _with_search(timings: Timings) -> bool:
    """Whether these timings began before a search: they then name its stages."""
    return any(_stage(timings, name) is not None for name in SEARCH_STAGES)


def _stage(timings: Timings | None, name: str) -> float | None:
    value: float | None = getattr(timings, name, None)
    return value
