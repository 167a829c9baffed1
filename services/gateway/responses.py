"""`/v1/responses`: the gateway's answers as OpenAI's Responses API has them, whole and streamed."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from pipelines.clock import server_timing
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from services.core.completion import fallback_headers, misplaced_fields, move_misplaced
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, ServiceError
from services.core.replies import EventStream, JsonReply, until_disconnected
from services.core.sse import KEEP_ALIVE, format_event
from services.core.wire.answer import FrozenContext
from services.core.wire.features import TokenLogprob, ToolCallDelta
from services.core.wire.responses import ResponsesRequest, TextFormat
from services.gateway.chat import read_question
from services.gateway.passages import Links
from services.gateway.settings import Settings
from services.gateway.split.router import route_question, routing_headers

router = APIRouter(tags=["chat"])

Json = dict[str, object]


@router.post("/v1/responses", summary="OpenAI's Responses API; the answer comes with its evidence")
async def responses(request: Request, body: ResponsesRequest) -> Response:
    """Nothing is stored: send the conversation with each request. `context`, `citations`, `timings`,
    `degraded` and `outcome` are as in chat completions."""
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    try:
        asked = body.to_chat()
        question = route_question(request, read_question(asked, settings), asked.user)
    except ValidationError as error:
        raise InvalidRequest(f"input: {error.errors()[0]['msg']}") from None
    links = Links(request, question.search.collection, are_stored=question.search.given is None)
    writer = ResponseWriter(body, links)
    headers = routing_headers(question)
    events = write_events(pipeline, question, writer, headers)
    if body.stream:
        return await EventStream.open(request, events, service="gateway", headers=headers)
    await until_disconnected(request, _run(events))
    return JsonReply(writer.response, headers=headers)


async def write_events(
    pipeline: RagPipeline, question: Question, writer: ResponseWriter, headers: dict[str, str]
) -> AsyncGenerator[bytes]:
    """Answer, and yield the events of the stream; at the end `writer.response` is the whole reply.

    The reply's headers are in `headers` when the first event comes.
    """
    is_done = False
    async with aclosing(pipeline.answer(question)) as events:
        async for event in events:
            if isinstance(event, Found):
                headers["server-timing"] = server_timing(event.timings, whole=False)
                headers.update(fallback_headers(event.degraded, event.model))
                written = writer.begin(event.model, event.context)
            elif isinstance(event, Piece):
                written = writer.add(event)
            else:
                headers["server-timing"] = server_timing(event.timings)
                written, is_done = writer.end(event), True
            for one in written:
                yield one
    if not is_done:
        raise ServiceError("generation ended before it answered", service="generation")


async def _run(events: AsyncGenerator[bytes]) -> None:
    async with within_deadline("the answer", service="gateway"), aclosing(events):
        async for _ in events:
            pass


class ResponseWriter:
    """Writes one response and its events; `response` is what of it there is."""

    def __init__(self, request: ResponsesRequest, links: Links) -> None:
        self._streams = request.stream
        self._links = links
        self._number = 0
        self._kind = ""
        self._text: list[str] = []
        self._logprobs: list[Json] = []
        self._call = -1
        self._output: list[Json] = []
        self.response: Json = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata,
            "model": request.model,
            "output": self._output,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": request.reasoning.effort, "summary": None},
            "store": False,
            "temperature": request.temperature,
            "text": {"format": _write_format(request.text.format)},
            "tool_choice": request.model_dump(include={"tool_choice"})["tool_choice"],
            "tools": [{"strict": None, "parameters": None} | tool.model_dump() for tool in request.tools],
            "top_p": request.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": request.user,
        }

    def begin(self, model: str, context: FrozenContext) -> Iterator[bytes]:
        """Begin the response."""
        self.response |= {"model": model, "context": context.model_dump(exclude_none=True)}
        yield self._event("response.created", response=self.response)
        yield self._event("response.in_progress", response=self.response)

    def add(self, piece: Piece) -> Iterator[bytes]:
        """Add a piece of output to the item that it belongs to; another kind begins another item."""
        self.response["model"] = piece.model
        if piece == Piece(piece.model):
            yield KEEP_ALIVE
        if piece.reasoning:
            yield from self._open("reasoning")
            self._text.append(piece.reasoning)
            yield self._event("response.reasoning_text.delta", **self._place(), delta=piece.reasoning)
        logprobs = [_write_logprob(one) for one in piece.logprobs]
        if piece.content:
            yield from self._open("message")
            self._text.append(piece.content)
            self._logprobs += logprobs
            place = self._place()
            yield self._event("response.output_text.delta", **place, delta=piece.content, logprobs=logprobs)
        elif self._kind == "message":
            self._logprobs += logprobs
        for call in piece.tool_calls:
            yield from self._add_call(call)

    def end(self, finished: Finished) -> Iterator[bytes]:
        """End the response: its last item, its citations, its counts."""
        is_wrong = self._streams and finished.misplaced > 0
        if not self._streams:
            self._move_misplaced(finished.misplaced)
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(
            "length" if is_wrong else finished.finish_reason
        )
        if not self._output:  # the client must find a message, be it empty
            yield from self._open("message")
        texts = [item for item in self._output if item["type"] == "message"]
        is_whole = self._kind == "message" and len(texts) == 1  # where citations count characters
        status = "incomplete" if reason else "completed"
        yield from self._close(finished if is_whole else None, status)
        usage, reasoning = finished.usage, finished.usage.completion_tokens_details.reasoning_tokens
        details: Json = {"reasoning_tokens": reasoning or 0}
        if reasoning is None:
            details["known"] = False
        self.response |= {
            "status": status,
            "incomplete_details": {"reason": reason} if reason else None,
            "model": finished.model,
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": details,
                "total_tokens": usage.total_tokens,
            },
            "citations": [citation.model_dump(exclude_none=True) for citation in finished.citations],
            "timings": finished.timings.model_dump(exclude_none=True),
            "degraded": list(finished.degraded),
            "outcome": finished.outcome,
        }
        if is_wrong:
            self.response |= misplaced_fields(finished.misplaced, finished.finish_reason, finished.outcome)
        name = "response.incomplete" if reason else "response.completed"
        yield self._event(name, response=self.response)

    def _move_misplaced(self, misplaced: int) -> None:
        """Put thinking that came as the message's text into an item of its own."""
        if not misplaced or self._kind != "message":
            return
        text, thoughts = move_misplaced("".join(self._text), "", misplaced)
        item: Json = {"id": f"re_{uuid.uuid4().hex}", "type": "reasoning", "status": "completed"}
        item |= {"summary": [], "content": [{"type": "reasoning_text", "text": thoughts}]}
        self._output.insert(len(self._output) - 1, item)
        self._text = [text]

    def _open(self, kind: str) -> Iterator[bytes]:
        """Begin an item of this kind where the open one is of another."""
        if self._kind == kind:
            return
        yield from self._close(None)
        self._kind = kind
        item: Json = {"id": f"{kind[:2]}_{uuid.uuid4().hex}", "type": kind, "status": "in_progress"}
        item |= (
            {"summary": [], "content": []} if kind == "reasoning" else {"role": "assistant", "content": []}
        )
        self._output.append(item)
        yield self._event("response.output_item.added", output_index=len(self._output) - 1, item=item)
        yield self._event("response.content_part.added", **self._place(), part=self._part([]))

    def _add_call(self, call: ToolCallDelta) -> Iterator[bytes]:
        if self._kind != "function_call" or self._call != call.index:
            yield from self._close(None)
            self._kind, self._call = "function_call", call.index
            item: Json = {
                "id": f"fc_{uuid.uuid4().hex}",
                "type": "function_call",
                "status": "in_progress",
                "call_id": call.id or f"call_{uuid.uuid4().hex}",
                "name": call.function.name or "",
                "arguments": "",
            }
            self._output.append(item)
            yield self._event("response.output_item.added", output_index=len(self._output) - 1, item=item)
        if call.function.arguments:
            self._text.append(call.function.arguments)
            place = self._place(has_content=False)
            yield self._event(
                "response.function_call_arguments.delta", **place, delta=call.function.arguments
            )

    def _close(self, finished: Finished | None, status: str = "completed") -> Iterator[bytes]:
        """End the open item, where there is one."""
        if not self._kind:
            return
        item, text = self._output[-1], "".join(self._text)
        item["status"] = status
        if self._kind == "function_call":
            item["arguments"] = text
            place = self._place(has_content=False)
            yield self._event("response.function_call_arguments.done", **place, arguments=text)
        else:
            place = self._place()
            links = self._links.annotate(finished.citations) if finished else []
            annotations = [{"type": "url_citation", **link.url_citation.model_dump()} for link in links]
            for index, link in enumerate(annotations):
                name = "response.output_text.annotation.added"
                yield self._event(name, **place, annotation_index=index, annotation=link)
            if self._kind == "reasoning":
                yield self._event("response.reasoning_text.done", **place, text=text)
            else:
                yield self._event("response.output_text.done", **place, text=text, logprobs=self._logprobs)
            part = self._part(annotations)
            item["content"] = [part]
            yield self._event("response.content_part.done", **place, part=part)
        yield self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)
        self._kind, self._text, self._logprobs = "", [], []

    def _part(self, annotations: Sequence[Json]) -> Json:
        text = "".join(self._text)
        if self._kind == "reasoning":
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": self._logprobs}

    def _place(self, *, has_content: bool = True) -> Json:
        place: Json = {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}
        return place | {"content_index": 0} if has_content else place

    def _event(self, name: str, **fields: object) -> bytes:
        data = orjson.dumps({"type": name, "sequence_number": self._number, **fields})
        self._number += 1
        return format_event(data, name)


def _write_format(form: TextFormat) -> Json:
    if form.type != "json_schema":
        return {"type": form.type}
    written: Json = {"type": form.type, "name": form.name, "schema": form.schema_, "strict": form.strict}
    return written | ({"description": form.description} if form.description else {})


def _write_logprob(one: TokenLogprob) -> Json:
    def write(token: TokenLogprob) -> Json:
        octets = list(token.token.encode()) if token.bytes is None else token.bytes
        return {"token": token.token, "logprob": token.logprob, "bytes": octets}

    return write(one) | {"top_logprobs": [write(other) for other in one.top_logprobs]}
