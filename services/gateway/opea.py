"""`/v1/chatqna`, as OPEA's clients call it: they get the answer's text, and never the model's thinking."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.clock import server_timing
from pipelines.prompting import read_template
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from pipelines.search import Search
from services.core.clients.generation import GenerationClient
from services.core.completion import ChunkWriter, fallback_headers, move_misplaced
from services.core.context import within_deadline
from services.core.errors import NotFound, ServiceError
from services.core.replies import EventStream, until_disconnected
from services.core.sse import DONE, format_event
from services.core.wire.answer import AnswerRequest, RagOptions
from services.core.wire.opea import ChatQnAChoice, ChatQnAMessage, ChatQnAReply, ChatQnARequest
from services.core.wire.passages import DEFAULT_COLLECTION
from services.gateway.chat import list_models, read_question
from services.gateway.settings import Settings
from services.gateway.split.router import route_question, routing_headers

IGNORED_HEADER = "x-ragline-ignored"
"""The request's fields that changed nothing, by name."""

LAMBDA, SCORE = 0.5, 0.2
"""OPEA's `lambda_mult` and `score_threshold` where a request has none."""

SILENCE_SECONDS = 15.0
"""Longest silence of a stream while the model thinks: proxies cut what is silent for a minute."""
THINKING = b": thinking\n\n"
"""A comment, which clients of event streams leave out."""

_PIECES = re.compile(r"[\n\r\t -~]+|[^\n\r\t -~]+")

router = APIRouter(tags=["opea"])


@router.post(
    "/v1/chatqna", response_model=ChatQnAReply, summary="OPEA's ChatQnA: ask; it streams unless told not to"
)
async def chatqna(request: Request, body: ChatQnARequest) -> Response:
    """A stream's events hold pieces of the answer as Python writes bytes, `data: b'Honey'`, then `[DONE]`."""
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    ignored = body.unread
    model = await _find_model(request.app.state.generation, body.model)
    if body.model and not model:
        ignored = sorted([*ignored, "model"])
    question = route_question(request, _read_chatqna(body, model, settings))
    headers = routing_headers(question) | ({IGNORED_HEADER: _header_text(ignored)} if ignored else {})
    if body.stream:
        events = _write_lines(pipeline, question, headers)
        return await EventStream.open(request, events, service="gateway", headers=headers)
    reply = await until_disconnected(request, _collect(pipeline, question, ignored))
    timing = {"server-timing": server_timing(reply.timings)}
    return Response(
        reply.model_dump_json(exclude_none=True),
        media_type="application/json",
        headers=headers | timing | fallback_headers(reply.degraded, reply.entry),
    )


async def _find_model(generation: GenerationClient, name: str) -> str:
    """Find the entry that a `model` means; empty for none, since OPEA's clients name models of their own."""
    if not name:
        return ""
    try:
        return (await list_models(generation)).find(name).id
    except NotFound:
        return ""


def _header_text(names: list[str]) -> str:
    """Write names into a header, which holds only printable ASCII."""
    return ", ".join(ascii(name)[1:-1][:64] for name in names[:32])


def _read_chatqna(body: ChatQnARequest, model: str, settings: Settings) -> Question:
    """Read what is asked, as the chat does. Raises `InvalidRequest` that names the field at fault."""
    template = read_template(body.chat_template) if body.chat_template else None
    top_n = body.top_n or settings.top_n
    asked = AnswerRequest(
        messages=body.conversation,
        model=model,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=body.stop,
        rag=RagOptions(
            collection=body.index_name or DEFAULT_COLLECTION,
            top_k=body.k,
            top_n=min(top_n, body.k) if body.k else top_n,
            mmr=(body.lambda_mult or LAMBDA) if body.search_type == "mmr" else None,
        ),
    )
    question = read_question(asked, settings)
    search = _set_thresholds(question.search, body)
    if template is not None and not template.has_context:
        search = replace(search, given=())
    return replace(question, search=search, template=template)


def _set_thresholds(search: Search, body: ChatQnARequest) -> Search:
    """Take the request's threshold where its search type says that one counts: the cosine alone then."""
    if body.search_type == "mmr":
        return replace(search, fetch_k=body.fetch_k)
    floor = None
    if body.search_type == "similarity_score_threshold":
        floor = body.score_threshold or SCORE
    elif body.search_type == "similarity_distance_threshold" and body.distance_threshold is not None:
        floor = 1 - body.distance_threshold
    return search if floor is None else replace(search, floor=floor, floor_languages=None)


async def _write_lines(
    pipeline: RagPipeline, question: Question, headers: dict[str, str]
) -> AsyncGenerator[bytes]:
    """Stream the answer's text; the reply's headers are in `headers` when the first event comes."""
    is_empty = True
    last = time.monotonic()
    async with aclosing(pipeline.answer(question)) as events:
        async for event in events:
            if isinstance(event, Found):
                headers["server-timing"] = server_timing(event.timings, whole=False)
                headers.update(fallback_headers(event.degraded, event.model))
            elif isinstance(event, Piece):
                for line in write_bytes_lines(event.content):
                    is_empty = False
                    yield line
                if event.content:
                    last = time.monotonic()
                elif time.monotonic() - last >= SILENCE_SECONDS:
                    last = time.monotonic()
                    yield THINKING
            elif event.misplaced:
                raise ServiceError(
                    f"the first {event.misplaced} characters that {event.model} sent were its thinking: name "
                    "its profile with LLM_PROFILE",
                    service="generation",
                )
            elif is_empty:
                raise _no_answer(event)
    yield DONE


def write_bytes_lines(text: str) -> Iterator[bytes]:
    """Write a text as OPEA's stream events, the literals of Python bytes.

    OPEA's pages read such a literal by rules of thumb: one with an escape is taken to hold nothing else, and
    quotes stay as they are escaped. So a literal holds either printable ASCII or other characters, and never
    both kinds of quotes.
    """
    for run in _PIECES.findall(text):
        parts = re.findall(r"'+|[^']+", run) if "'" in run and '"' in run else [run]
        for part in parts:
            yield format_event(repr(part.encode()).encode())


async def _collect(pipeline: RagPipeline, question: Question, ignored: list[str]) -> ChatQnAReply:
    content: list[str] = []
    finished: Finished | None = None
    async with within_deadline("the answer", service="gateway"):
        async for event in pipeline.answer(question):
            if isinstance(event, Piece):
                content.append(event.content)
            elif isinstance(event, Finished):
                finished = event
    if finished is None:
        raise ServiceError("generation ended before it answered", service="generation")
    answer, _ = move_misplaced("".join(content), "", finished.misplaced)
    if not answer:
        raise _no_answer(finished)
    identity = ChunkWriter()
    message = ChatQnAMessage(content=answer)
    return ChatQnAReply(
        id=identity.id,
        created=identity.created,
        choices=[ChatQnAChoice(message=message, finish_reason=finished.finish_reason)],
        usage=finished.usage,
        entry=finished.model,
        citations=finished.citations,
        timings=finished.timings,
        outcome=finished.outcome,
        degraded=list(finished.degraded),
        ignored=ignored,
    )


def _no_answer(finished: Finished) -> ServiceError:
    """Say that there is no answer: OPEA's replies have no word for why one is empty."""
    why = "its thinking took all that max_tokens allows" if finished.outcome == "reasoning_truncated" else ""
    detail = why or f"it ended with {finished.finish_reason} before it said anything"
    return ServiceError(f"{finished.model} gave no answer: {detail}", service="generation")
