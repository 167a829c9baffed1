"""`/v1/compare`: several arms answer one question from one frozen context, and their answers are judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.compare import Arm, ArmDone, ArmPiece, Comparison, Frozen, compare, parse_arm
from pipelines.evaluation.grounding.answers import Scorer, ground_answer
from pipelines.evaluation.grounding.detector import DetectorScorer, parse_labels
from pipelines.evaluation.grounding.scorer import GroundednessScorer
from pipelines.prompting import find_prompt
from pipelines.rag import RagPipeline
from services.core.client import HttpClient
from services.core.clients.reranking import DetectionClient
from services.core.context import request_id, seconds_left, within_deadline
from services.core.errors import Blocked, RaglineError, ServiceError
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
from services.core.wire.grounding import AnswerGroundedness
from services.gateway.search import resolve_search
from services.gateway.settings import Settings

router = APIRouter(tags=["compare"])

SPARE_SECONDS = 0.5
"""What is left of a request's time for the end of its reply."""

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
    comparison = Comparison(
        text=body.question,
        arms=[_parse_arm(arm, settings) for arm in body.arms],
        history=tuple(body.history),
        search=resolve_search(body.rag, settings),
        serial=body.serial,
        cold=body.cold,
    )
    events = compare_events(pipeline, comparison, request.app.state.grounder, body.grounding)
    if body.stream:
        return await EventStream.open(request, _format_events(events), service="gateway")
    reply = await until_disconnected(request, _collect(events))
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


def _parse_arm(arm: ArmRequest | str, settings: Settings) -> Arm:
    if isinstance(arm, str):
        return parse_arm(arm, settings.prompt)
    prompt = find_prompt(arm.prompt) if arm.prompt else settings.prompt
    return Arm(arm.name or arm.model or "default", arm.model, prompt, arm.sampling)


async def compare_events(
    pipeline: RagPipeline, comparison: Comparison, grounder: Grounder, scope: GroundingScope
) -> AsyncGenerator[_Event]:
    """Compare, and yield the events; the last one has all of it.

    An answer is judged while no arm runs, so that this work is in no arm's latency: between serial arms, and
    after the last of several at once.
    """
    frozen: Frozen | None = None
    done: dict[str, ArmReply] = {}
    waiting: list[ArmReply] = []
    async with aclosing(compare(pipeline, comparison)) as steps:
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
                done[step.arm.name] = reply = _make_reply(step)
                yield reply
                waiting.append(reply)
            if frozen is not None and waiting and (comparison.serial or len(done) == len(comparison.arms)):
                for reply in waiting:
                    judged = await grounder.ground(comparison.text, frozen.context, reply, scope)
                    if judged is not None:
                        done[reply.arm] = add_groundedness(reply, judged)
                        yield judged
                waiting.clear()
    if frozen is None:
        raise ServiceError("the comparison ended before it began")
    arms = [done[arm.name] for arm in comparison.arms]
    yield CompareReply(
        question=comparison.text,
        context=frozen.context,
        timings=frozen.timings,
        serial=comparison.serial,
        cold=comparison.cold,
        arms=arms,
        differences=differences(arms),
        degraded=list(frozen.degraded),
    )


async def _format_events(events: AsyncGenerator[_Event]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            yield format_event(orjson.dumps(event.model_dump(exclude_none=True)), _NAMES[type(event)])
    yield DONE


async def _collect(events: AsyncGenerator[_Event]) -> CompareReply:
    async with within_deadline("the comparison", service="gateway"), aclosing(events):
        async for event in events:
            if isinstance(event, CompareReply):
                return event
    raise ServiceError("the comparison ended before it was whole")


def _make_reply(done: ArmDone) -> ArmReply:
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
    if finished is None or finished.outcome == "blocked":
        failure = ServiceError("generation ended before it answered", service="generation")
        error = done.error or (
            Blocked("the guard forbids the answer", service="guard") if finished else failure
        )
        detail = error.body(service="gateway", request_id=request_id.get()).error
        return common.model_copy(update={"error": detail})
    status: ArmStatus = "answered"
    if finished.abstained:
        status = "abstained"
    elif finished.outcome == "reasoning_truncated":
        status = "reasoning_truncated"
    return common.model_copy(
        update={
            "model": finished.model,
            "status": status,
            "finish_reason": finished.finish_reason,
            "citations": finished.citations,
            "usage": finished.usage,
            "timings": finished.timings,
            "degraded": list(finished.degraded),
        }
    )


def add_groundedness(reply: ArmReply, judged: ArmGroundedness) -> ArmReply:
    return reply.model_copy(
        update={"groundedness": judged.groundedness, "groundedness_missing": judged.missing}
    )


def differences(arms: Sequence[ArmReply]) -> list[ArmDifference]:
    """Subtract the first arm from every other one."""
    first, *others = arms
    return [
        ArmDifference(
            arm=other.arm,
            **{name: _subtract(_time(other, name), _time(first, name)) for name in ("ttft", "ttfo", "e2el")},
            completion_tokens=_to_int(_subtract(_completion_tokens(other), _completion_tokens(first))),
            reasoning_tokens=_to_int(_subtract(_reasoning_tokens(other), _reasoning_tokens(first))),
            share_supported=_subtract(_supported(other), _supported(first), places=4),
            contradicted=_to_int(_subtract(_contradicted(other), _contradicted(first))),
            same_answer=other.content.split() == first.content.split() and other.status == first.status,
        )
        for other in others
    ]


def _time(arm: ArmReply, name: str) -> float | None:
    value: float | None = getattr(arm.timings, name) if arm.timings else None
    return value


def _completion_tokens(arm: ArmReply) -> int | None:
    return arm.usage.completion_tokens if arm.usage else None


def _reasoning_tokens(arm: ArmReply) -> int | None:
    return arm.usage.completion_tokens_details.reasoning_tokens if arm.usage else None


def _supported(arm: ArmReply) -> float | None:
    return arm.groundedness.answer.share_supported if arm.groundedness else None


def _contradicted(arm: ArmReply) -> int | None:
    return arm.groundedness.answer.contradicted if arm.groundedness else None


def _subtract(value: float | None, other: float | None, *, places: int = 3) -> float | None:
    return None if value is None or other is None else round(value - other, places)


def _to_int(value: float | None) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """How an answer rests on its passages, or why that is not known."""

    groundedness: AnswerGroundedness | None = None
    missing: str | None = None

    def write(self) -> dict[str, object]:
        """Write the fields of a reply that say it; none where nothing was asked."""
        if self.groundedness is not None:
            return {"groundedness": self.groundedness.model_dump(exclude_none=True)}
        return {"groundedness_missing": self.missing} if self.missing else {}


class Grounder:
    """Judges how an answer rests on its passages, for at most `seconds`; its own work runs in a thread."""

    def __init__(self, scorer: Scorer, seconds: float) -> None:
        self._scorer = scorer
        self._seconds = seconds

    async def ground(
        self, question: str, context: FrozenContext, reply: ArmReply, scope: GroundingScope
    ) -> ArmGroundedness | None:
        """Judge an arm's answer.

        Returns:
            The groundedness, or why there is none; None where there is nothing to judge.
        """
        if scope == "off" or reply.status == "failed":
            return None
        reasoning = reply.reasoning_content or "" if scope == "all" else ""
        judged = await self.judge(question, context, reply.content, reasoning)
        return ArmGroundedness(arm=reply.arm, groundedness=judged.groundedness, missing=judged.missing)

    async def judge(
        self, question: str, context: FrozenContext, answer: str, reasoning: str = ""
    ) -> JudgedAnswer:
        """Judge an answer, and the thinking before it, in time for the reply to end before its deadline."""
        left = seconds_left()
        seconds = self._seconds if left is None else min(self._seconds, max(0.0, left - SPARE_SECONDS))
        try:
            async with asyncio.timeout(seconds):
                groundedness = await ground_answer(
                    question, context.passages, answer, reasoning, scorer=self._scorer
                )
        except RaglineError as error:
            return JudgedAnswer(missing=error.message)
        except TimeoutError:
            return JudgedAnswer(missing=f"grounding took longer than {seconds:.3g} s (GROUNDING_SECONDS)")
        return JudgedAnswer(groundedness)


def scorer_by_words() -> Scorer:
    return GroundednessScorer()


def scorer_by_detector(http: HttpClient, labels: str) -> Scorer:
    return DetectorScorer(DetectionClient(http), parse_labels(labels))
