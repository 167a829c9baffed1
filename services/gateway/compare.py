"""`/v1/compare`: several arms answer one question from one frozen context."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.arms import Arm, parse_arm, prompt_named
from pipelines.compare import ArmDone, ArmPiece, Comparison, Frozen, compare
from pipelines.rag import RagPipeline
from services.core.context import request_id, within_deadline
from services.core.errors import ServiceError
from services.core.replies import EventStream, until_disconnected
from services.core.sse import DONE, format_event
from services.core.wire.answer import FrozenContext
from services.core.wire.compare import (
    ArmDelta,
    ArmDifference,
    ArmGroundedness,
    ArmReply,
    ArmRequest,
    ArmStatus,
    CompareReply,
    CompareRequest,
    GroundingScope,
)
from services.gateway.grounding import Grounder
from services.gateway.search import search_of
from services.gateway.settings import Settings

router = APIRouter(tags=["compare"])

_Event = FrozenContext | ArmDelta | ArmReply | ArmGroundedness | CompareReply
_NAMES: dict[type[_Event], str] = {
    FrozenContext: "context",
    ArmDelta: "delta",
    ArmReply: "arm",
    ArmGroundedness: "groundedness",
    CompareReply: "comparison",
}


@router.post("/v1/compare", response_model=CompareReply, summary="Ask several models from one frozen context")
async def compared(request: Request, body: CompareRequest) -> Response:
    """With `stream` the events are `context`, `delta`, `arm` (one is done), `groundedness` (of an arm) and
    `comparison`."""
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    asked = Comparison(
        text=body.question,
        arms=[_arm(each, settings) for each in body.arms],
        history=tuple(body.history),
        search=search_of(body.rag, settings),
        serial=body.serial,
        cold=body.cold,
    )
    events = _events(pipeline, asked, request.app.state.grounder, body.grounding)
    if body.stream:
        return await EventStream.open(request, _encoded(events), service="gateway")
    reply = await until_disconnected(request, _whole(events))
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


def _arm(given: ArmRequest | str, settings: Settings) -> Arm:
    if isinstance(given, str):
        return parse_arm(given, settings.prompt)
    prompt = prompt_named(given.prompt) if given.prompt else settings.prompt
    return Arm(given.name or given.model or "default", given.model, prompt, given.sampling)


async def _events(
    pipeline: RagPipeline, asked: Comparison, grounder: Grounder, scope: GroundingScope
) -> AsyncGenerator[_Event]:
    """The comparison as events; the last one has all of it.

    An answer is judged while no arm runs, so that this work is in no arm's latency: between serial arms, and
    after the last of several at once.
    """
    frozen: Frozen | None = None
    done: dict[str, ArmReply] = {}
    waiting: list[ArmReply] = []
    async with aclosing(compare(pipeline, asked)) as steps:
        async for step in steps:
            if isinstance(step, Frozen):
                frozen = step
                yield step.context
            elif isinstance(step, ArmPiece):
                delta = ArmDelta(
                    arm=step.arm, content=step.content or None, reasoning_content=step.reasoning or None
                )
                yield delta
            else:
                done[step.arm.name] = reply = _reply(step)
                yield reply
                waiting.append(reply)
            if frozen is not None and waiting and (asked.serial or len(done) == len(asked.arms)):
                for reply in waiting:
                    if (found := await grounder.ground(asked.text, frozen.context, reply, scope)) is not None:
                        done[reply.arm] = with_groundedness(reply, found)
                        yield found
                waiting.clear()
    if frozen is None:
        raise ServiceError("the comparison ended before it began")
    arms = [done[arm.name] for arm in asked.arms]
    yield CompareReply(
        question=asked.text,
        context=frozen.context,
        timings=frozen.timings,
        serial=asked.serial,
        cold=asked.cold,
        arms=arms,
        differences=differences(arms),
        degraded=list(frozen.degraded),
    )


async def _encoded(events: AsyncGenerator[_Event]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            yield format_event(orjson.dumps(event.model_dump(exclude_none=True)), _NAMES[type(event)])
    yield DONE


async def _whole(events: AsyncGenerator[_Event]) -> CompareReply:
    async with within_deadline("the comparison", service="gateway"), aclosing(events):
        async for event in events:
            if isinstance(event, CompareReply):
                return event
    raise ServiceError("the comparison ended before it was whole")


def _reply(done: ArmDone) -> ArmReply:
    arm, finished = done.arm, done.finished
    common = ArmReply(
        arm=arm.name,
        model=arm.model,
        prompt=arm.prompt,
        status="failed",
        context_id=done.context_id,
        content=done.content,
        reasoning_content=done.reasoning or None,
    )
    if finished is None:
        error = done.error or ServiceError("generation ended before it answered", service="generation")
        detail = error.body(service="gateway", request_id=request_id.get()).error
        return common.model_copy(update={"error": detail})
    status: ArmStatus = "answered"
    if finished.abstained:
        status = "abstained"
    elif finished.finish_reason == "reasoning_truncated":
        status = "reasoning_truncated"
    return common.model_copy(
        update={
            "model": finished.model,
            "status": status,
            "finish_reason": finished.finish_reason,
            "annotations": finished.citations,
            "usage": finished.usage,
            "timings": finished.timings,
            "degraded": list(finished.degraded),
        }
    )


def with_groundedness(reply: ArmReply, found: ArmGroundedness) -> ArmReply:
    return reply.model_copy(
        update={"groundedness": found.groundedness, "groundedness_missing": found.missing}
    )


def differences(arms: Sequence[ArmReply]) -> list[ArmDifference]:
    """Every other arm minus the first."""
    first, *others = arms
    return [
        ArmDifference(
            arm=other.arm,
            **{name: _minus(_time(other, name), _time(first, name)) for name in ("ttft", "ttfo", "e2el")},
            completion_tokens=_count(_minus(_tokens(other), _tokens(first))),
            reasoning_tokens=_count(_minus(_thought(other), _thought(first))),
            share_supported=_minus(_supported(other), _supported(first), places=4),
            contradicted=_count(_minus(_contradicted(other), _contradicted(first))),
            same_answer=other.content.split() == first.content.split() and other.status == first.status,
        )
        for other in others
    ]


def _time(arm: ArmReply, name: str) -> float | None:
    value: float | None = getattr(arm.timings, name) if arm.timings else None
    return value


def _tokens(arm: ArmReply) -> int | None:
    return arm.usage.completion_tokens if arm.usage else None


def _thought(arm: ArmReply) -> int | None:
    return arm.usage.completion_tokens_details.reasoning_tokens if arm.usage else None


def _supported(arm: ArmReply) -> float | None:
    return arm.groundedness.answer.share_supported if arm.groundedness else None


def _contradicted(arm: ArmReply) -> int | None:
    return arm.groundedness.answer.contradicted if arm.groundedness else None


def _minus(value: float | None, other: float | None, *, places: int = 3) -> float | None:
    return None if value is None or other is None else round(value - other, places)


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
