"""`/v1/completions`: OpenAI's older form, in which the prompt is the question and the answer a text."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar, Literal, cast

import orjson
from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, model_validator
from starlette.responses import Response

from pipelines.clock import server_timing
from pipelines.rag import Found, Piece, Question, RagPipeline
from services.core.completion import fallback_headers, misplaced_fields, move_misplaced
from services.core.context import within_deadline
from services.core.errors import ServiceError
from services.core.replies import EventStream, JsonReply, until_disconnected
from services.core.sse import DONE, format_event
from services.core.wire.answer import AnswerRequest, RagOptions
from services.core.wire.base import Text
from services.core.wire.chat import ChatMessage, StreamOptions
from services.core.wire.sampling import SamplingFields
from services.gateway.chat import read_question
from services.gateway.settings import Settings
from services.gateway.split.router import route_question, routing_headers

router = APIRouter(tags=["chat"])

Json = dict[str, object]


class CompletionRequest(SamplingFields):
    """`POST /v1/completions`. A field that is not listed is refused; `user` changes nothing."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=())

    prompt: Text | list[Text] = Field(min_length=1, max_length=1_000_000)
    model: Text = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: Text | list[Text] | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    n: Literal[1] = 1
    best_of: Literal[1] = 1
    echo: Literal[False] = False
    rag: RagOptions = Field(default_factory=RagOptions)
    user: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if value is not None}

    @model_validator(mode="after")
    def _take_one_prompt(self) -> CompletionRequest:
        if isinstance(self.prompt, list) and len(self.prompt) != 1:
            raise ValueError("prompt: one at a time, not a list of several")
        return self

    def to_chat(self) -> AnswerRequest:
        """Say it as a request for chat completions."""
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        left_out = {"prompt", "best_of", "echo", "rag"}
        fields = self.model_dump(exclude=left_out, exclude_none=True)
        messages = [ChatMessage(role="user", content=prompt)]
        return AnswerRequest.model_validate({**fields, "messages": messages, "rag": self.rag})


@router.post("/v1/completions", summary="OpenAI's older completions: the prompt is the question")
async def completions(request: Request, body: CompletionRequest) -> Response:
    """`context`, `citations`, `timings`, `degraded` and `outcome` are as in chat completions."""
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    question = route_question(request, read_question(body.to_chat(), settings), body.user)
    writer = CompletionWriter()
    headers = routing_headers(question)
    parts = write_parts(pipeline, question, writer, headers, streams=body.stream)
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        events = _format(parts, include_usage=include_usage)
        return await EventStream.open(request, events, service="gateway", headers=headers)
    reply = await until_disconnected(request, _collect(parts))
    return JsonReply(reply, headers=headers)


class CompletionWriter:
    """Writes the parts of one completion; all have its id and its time."""

    def __init__(self) -> None:
        self._id = f"cmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    def write(self, model: str, text: str, finish_reason: str | None = None, **fields: object) -> Json:
        """Write a part with one choice, and further fields of ours."""
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
        head = {"id": self._id, "object": "text_completion", "created": self._created, "model": model}
        return {**head, "choices": [choice], **fields}


async def write_parts(
    pipeline: RagPipeline,
    question: Question,
    writer: CompletionWriter,
    headers: dict[str, str],
    *,
    streams: bool,
) -> AsyncGenerator[Json]:
    """Answer in parts; the last one has the finish reason and the counts.

    The reply's headers are in `headers` when the first part comes.
    """
    async with aclosing(pipeline.answer(question)) as events:
        async for event in events:
            if isinstance(event, Found):
                headers["server-timing"] = server_timing(event.timings, whole=False)
                headers.update(fallback_headers(event.degraded, event.model))
                yield writer.write(event.model, "", context=event.context.model_dump(exclude_none=True))
            elif isinstance(event, Piece):
                fields = {"reasoning_content": event.reasoning} if event.reasoning else {}
                yield writer.write(event.model, event.content, **fields)
            else:
                headers["server-timing"] = server_timing(event.timings)
                is_wrong = streams and event.misplaced > 0
                more: Json = {"outcome": event.outcome, "misplaced": event.misplaced}
                if question.routed_by:
                    more["routed_by"] = question.routed_by
                if is_wrong:
                    more |= misplaced_fields(event.misplaced, event.finish_reason, event.outcome)
                elif streams:
                    del more["misplaced"]
                yield writer.write(
                    event.model,
                    "",
                    "length" if is_wrong else event.finish_reason,
                    usage=event.usage.model_dump(),
                    citations=[citation.model_dump(exclude_none=True) for citation in event.citations],
                    timings=event.timings.model_dump(exclude_none=True),
                    degraded=list(event.degraded),
                    **more,
                )


async def _collect(parts: AsyncGenerator[Json]) -> Json:
    """Put the parts together."""
    whole: Json = {}
    texts: list[str] = []
    thoughts: list[str] = []
    async with within_deadline("the answer", service="gateway"), aclosing(parts):
        async for part in parts:
            choice = cast(list[Json], part["choices"])[0]
            texts.append(str(choice["text"]))
            thoughts.append(str(part.pop("reasoning_content", "")))
            whole |= part
            choice["text"] = "".join(texts)
    if "usage" not in whole:
        raise ServiceError("generation ended before it answered", service="generation")
    misplaced = int(str(whole.pop("misplaced", 0)))
    text, thought = move_misplaced("".join(texts), "".join(thoughts), misplaced)
    choice["text"] = text
    return whole | ({"reasoning_content": thought} if thought else {})


async def _format(parts: AsyncGenerator[Json], *, include_usage: bool) -> AsyncGenerator[bytes]:
    """Write the parts as server-sent events; `include_usage` puts the counts into one of their own."""
    async with aclosing(parts):
        async for part in parts:
            usage = part.pop("usage") if include_usage and "usage" in part else None
            yield format_event(orjson.dumps(part))
            if usage is not None:
                last = {name: part[name] for name in ("id", "object", "created", "model")}
                yield format_event(orjson.dumps({**last, "choices": [], "usage": usage}))
    yield DONE
