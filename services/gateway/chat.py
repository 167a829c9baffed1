"""`/v1/chat/completions` and `/v1/models`."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.clock import server_timing
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from services.core import fallback
from services.core.clients.generation import GenerationClient, Sampling
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, ServiceError
from services.core.sse import DONE, format_event
from services.core.streaming import EventStream, until_disconnected
from services.core.wire.answer import AnswerChoice, AnswerMessage, AnswerReply, AnswerRequest
from services.core.wire.chat import ModelList
from services.gateway.search import search_of
from services.gateway.settings import Settings

router = APIRouter(tags=["chat"])


@router.post(
    "/v1/chat/completions", response_model=AnswerReply, summary="Ask; the answer comes with its evidence"
)
async def chat(request: Request, body: AnswerRequest) -> Response:
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    question = _question(body, settings)
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        headers: dict[str, str] = {}
        events = _chunks(pipeline, question, headers, include_usage=include_usage)
        return await EventStream.open(request, events, service="gateway", headers=headers)
    reply = await until_disconnected(request, _collect(pipeline, question))
    return Response(
        reply.model_dump_json(exclude_none=True),
        media_type="application/json",
        headers={"server-timing": server_timing(reply.timings)}
        | fallback.headers(reply.degraded, reply.model),
    )


@router.get("/v1/models", summary="The model entries that a request's `model` may name")
async def models(request: Request) -> ModelList:
    generation: GenerationClient = request.app.state.generation
    return await generation.models()


def _question(body: AnswerRequest, settings: Settings) -> Question:
    """The last user message asks; what stands before it is history."""
    *history, last = body.messages
    if last.role != "user" or not last.text.strip():
        raise InvalidRequest("messages: the last message must have the role user and some text")
    return Question(
        text=last.text,
        history=tuple(history),
        model=body.model,
        prompt=settings.prompt,
        search=search_of(body.rag, settings),
        sampling=Sampling(
            max_tokens=body.token_limit,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            reasoning_effort=body.reasoning_effort,
            max_reasoning_tokens=body.max_reasoning_tokens,
            think=body.think,
            stop=tuple(body.stops),
        ),
    )


async def _collect(pipeline: RagPipeline, question: Question) -> AnswerReply:
    """The whole answer in one piece."""
    content: list[str] = []
    reasoning: list[str] = []
    found: Found | None = None
    finished: Finished | None = None
    async with within_deadline("the answer", service="gateway"):
        async for event in pipeline.answer(question):
            if isinstance(event, Piece):
                content.append(event.content)
                reasoning.append(event.reasoning)
            elif isinstance(event, Found):
                found = event
            else:
                finished = event
    if found is None or finished is None:
        raise ServiceError("generation ended before it answered", service="generation")
    message = AnswerMessage(
        content="".join(content), reasoning_content="".join(reasoning) or None, annotations=finished.citations
    )
    return AnswerReply(
        id=_new_id(),
        created=int(time.time()),
        model=finished.model,
        choices=[AnswerChoice(message=message, finish_reason=finished.finish_reason)],
        usage=finished.usage,
        context=found.context,
        timings=finished.timings,
        degraded=list(finished.degraded),
        abstained=finished.abstained,
    )


async def _chunks(
    pipeline: RagPipeline, question: Question, headers: dict[str, str], *, include_usage: bool
) -> AsyncGenerator[bytes]:
    """The answer as `AnswerChunk` events; built by hand, because there is one per token.

    What the reply's headers are to say is in `headers` when the first event comes.
    """
    identifier, created = _new_id(), int(time.time())

    def chunk(model: str, choices: list[object], extra: dict[str, object] | None = None) -> bytes:
        fields = {"id": identifier, "object": "chat.completion.chunk", "created": created, "model": model}
        return format_event(orjson.dumps(fields | {"choices": choices} | (extra or {})))

    def choice(delta: dict[str, object], finish_reason: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "finish_reason": finish_reason}]

    answer = pipeline.answer(question)
    try:
        async for event in answer:
            if isinstance(event, Piece):
                delta: dict[str, object] = {"content": event.content} if event.content else {}
                if event.reasoning:
                    delta["reasoning_content"] = event.reasoning
                yield chunk(event.model, choice(delta))
            elif isinstance(event, Found):
                headers["server-timing"] = server_timing(event.timings, whole=False)
                headers.update(fallback.headers(event.degraded, event.model))
                yield chunk(
                    event.model,
                    choice({"role": "assistant", "content": ""}),
                    {"context": event.context.model_dump(exclude_none=True)},
                )
            else:
                usage = event.usage.model_dump()
                extra: dict[str, object] = {
                    "timings": event.timings.model_dump(exclude_none=True),
                    "degraded": list(event.degraded),
                    "abstained": event.abstained,
                }
                if not include_usage:
                    extra["usage"] = usage
                citations = [citation.model_dump(exclude_none=True) for citation in event.citations]
                yield chunk(event.model, choice({"annotations": citations}, event.finish_reason), extra)
                if include_usage:
                    yield chunk(event.model, [], {"usage": usage})
        yield DONE
    finally:
        await answer.aclose()


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"
