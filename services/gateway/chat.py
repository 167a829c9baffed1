"""`/v1/chat/completions` and `/v1/models`, as OpenAI has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from pipelines.clock import server_timing
from pipelines.conversation import is_task_of_client
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from services.core.clients.generation import GenerationClient
from services.core.completion import (
    CallCollector,
    ChunkWriter,
    fallback_headers,
    misplaced_fields,
    move_misplaced,
)
from services.core.context import within_deadline
from services.core.errors import InvalidRequest, ServiceError
from services.core.replies import EventStream, until_disconnected
from services.core.sse import DONE
from services.core.wire.answer import (
    AnswerChoice,
    AnswerMessage,
    AnswerReply,
    AnswerRequest,
    FrozenContext,
)
from services.core.wire.chat import DIRECT, ModelInfo, ModelList
from services.core.wire.features import Logprobs, TokenLogprob
from services.gateway.compare import Grounder, JudgedAnswer
from services.gateway.passages import Links
from services.gateway.recent import FirstTokenTimes, RecentTimes
from services.gateway.search import resolve_search
from services.gateway.settings import Settings
from services.gateway.split.router import route_question, routing_headers

router = APIRouter(tags=["chat"])


@router.post(
    "/v1/chat/completions", response_model=AnswerReply, summary="Ask; the answer comes with its evidence"
)
async def chat(request: Request, body: AnswerRequest) -> Response:
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    question = route_question(request, read_question(body, settings), body.user)
    links = Links(request, question.search.collection, are_stored=question.search.given is None)
    grounder: Grounder | None = request.app.state.grounder if body.rag.grounding else None
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        headers = routing_headers(question)
        events = _write_chunks(pipeline, question, links, headers, grounder, include_usage=include_usage)
        return await EventStream.open(request, events, service="gateway", headers=headers)
    reply = await until_disconnected(request, _collect(pipeline, question, links, grounder))
    return Response(
        reply.model_dump_json(exclude_none=True),
        media_type="application/json",
        headers={"server-timing": server_timing(reply.timings)}
        | routing_headers(question)
        | fallback_headers(reply.degraded, reply.model),
    )


class GatewayModels(ModelList):
    """The models, and who may ask them: whoever has a key, whoever is on this machine, or anyone.

    `first_token` are the times of this gateway's answers of the last hour, by entry.
    """

    access: Literal["keys", "loopback", "open"]
    first_token: dict[str, FirstTokenTimes] = Field(default_factory=dict)


@router.get("/v1/models", summary="The model entries that a request's `model` may name")
async def models(request: Request) -> GatewayModels:
    """`NAME:direct` is the entry NAME without retrieval: for the titles and summaries of chat clients."""
    settings: Settings = request.app.state.settings
    listed = await list_models(request.app.state.generation)
    recent: RecentTimes = request.app.state.recent
    return GatewayModels(data=listed.data, access=settings.access_mode, first_token=recent.summarise())


@router.get("/v1/models/{model:path}", summary="One model entry, by a name that a request's `model` may say")
async def model(request: Request, model: str) -> ModelInfo:
    listed = await list_models(request.app.state.generation)
    return listed.find(model)


async def list_models(generation: GenerationClient) -> ModelList:
    """List the entries, each also under the name by which it answers without passages."""
    listed = await generation.models()
    direct = [
        info.model_copy(
            update={"id": f"{info.id}{DIRECT}", "aliases": [], "default": False, "retrieval": False}
        )
        for info in listed.data
    ]
    return ModelList(data=[*listed.data, *direct])


def read_question(body: AnswerRequest, settings: Settings) -> Question:
    """Read what is asked: the last user message.

    What stands before it is history. After it only calls of tools and their replies may stand.
    """
    asked = max((at for at, message in enumerate(body.messages) if message.role == "user"), default=-1)
    last, follow = body.messages[asked], body.messages[asked + 1 :]
    if asked < 0 or not last.text.strip() or not all(message.concerns_tools for message in follow):
        raise InvalidRequest(
            "messages: the last message must have the role user and some text, or be the reply of a tool"
        )
    if follow and follow[-1].role != "tool":
        raise InvalidRequest("messages: calls of tools must be followed by the tools' replies")
    direct = body.model.endswith(DIRECT)
    search = resolve_search(body.rag, settings)
    if direct and body.rag.context:
        raise InvalidRequest(f"`rag.context`: a model named NAME{DIRECT} answers without passages")
    direct = direct or (not body.rag.context and is_task_of_client(last.text))
    return Question(
        text=last.text,
        history=tuple(body.messages[:asked]),
        follow=tuple(follow),
        model=body.model.removesuffix(DIRECT),
        prompt=settings.prompt,
        search=replace(search, given=()) if direct else search,
        direct=direct,
        sampling=body.sampling,
        features=body.features,
    )


async def _judge(
    grounder: Grounder | None, question: Question, context: FrozenContext, answer: str
) -> JudgedAnswer:
    """Judge an answer where that was asked for, and there are passages to judge it by."""
    if grounder is None:
        return JudgedAnswer()
    if not context.passages:
        return JudgedAnswer(missing="no passage was in the prompt")
    return await grounder.judge(question.text, context, answer)


async def _collect(
    pipeline: RagPipeline, question: Question, links: Links, grounder: Grounder | None
) -> AnswerReply:
    """Collect the whole answer in one piece."""
    content: list[str] = []
    reasoning: list[str] = []
    calls = CallCollector()
    logprobs: list[TokenLogprob] = []
    found: Found | None = None
    finished: Finished | None = None
    async with within_deadline("the answer", service="gateway"):
        async for event in pipeline.answer(question):
            if isinstance(event, Piece):
                content.append(event.content)
                reasoning.append(event.reasoning)
                calls.add(event.tool_calls)
                logprobs += event.logprobs
            elif isinstance(event, Found):
                found = event
            else:
                finished = event
    if found is None or finished is None:
        raise ServiceError("generation ended before it answered", service="generation")
    identity = ChunkWriter()
    answer, thoughts = move_misplaced("".join(content), "".join(reasoning), finished.misplaced)
    message = AnswerMessage(
        content=answer or (None if calls.calls else ""),
        tool_calls=calls.calls or None,
        reasoning_content=thoughts or None,
        annotations=links.annotate(finished.citations),
        citations=finished.citations,
    )
    judged = await _judge(grounder, question, found.context, answer)
    return AnswerReply(
        id=identity.id,
        created=identity.created,
        model=finished.model,
        choices=[
            AnswerChoice(
                message=message,
                finish_reason=finished.finish_reason,
                logprobs=Logprobs(content=logprobs) if logprobs else None,
            )
        ],
        usage=finished.usage,
        context=found.context,
        timings=finished.timings,
        degraded=list(finished.degraded),
        outcome=finished.outcome,
        routed_by=question.routed_by or None,
        groundedness=judged.groundedness,
        groundedness_missing=judged.missing,
    )


def _write_piece(chunks: ChunkWriter, piece: Piece) -> bytes:
    texts = {"content": piece.content, "reasoning_content": piece.reasoning}
    delta: dict[str, object] = {name: text for name, text in texts.items() if text}
    if piece.tool_calls:
        delta["tool_calls"] = [call.model_dump(exclude_none=True) for call in piece.tool_calls]
    return chunks.delta(piece.model, delta, logprobs=piece.logprobs)


async def _write_chunks(
    pipeline: RagPipeline,
    question: Question,
    links: Links,
    headers: dict[str, str],
    grounder: Grounder | None,
    *,
    include_usage: bool,
) -> AsyncGenerator[bytes]:
    """Stream the answer as `AnswerChunk` events.

    The reply's headers are in `headers` when the first event comes.
    """
    chunks = ChunkWriter()
    content: list[str] = []
    context = FrozenContext(context_id="", passages=[])
    async with aclosing(pipeline.answer(question)) as events:
        async for event in events:
            if isinstance(event, Piece):
                content.append(event.content)
                yield _write_piece(chunks, event)
            elif isinstance(event, Found):
                context = event.context
                headers["server-timing"] = server_timing(event.timings, whole=False)
                headers.update(fallback_headers(event.degraded, event.model))
                yield chunks.delta(
                    event.model,
                    {"role": "assistant", "content": ""},
                    fields={"context": event.context.model_dump(exclude_none=True)},
                )
            else:
                delta: dict[str, object] = {
                    "annotations": [link.model_dump() for link in links.annotate(event.citations)],
                    "citations": [citation.model_dump(exclude_none=True) for citation in event.citations],
                }
                fields: dict[str, object] = {
                    "timings": event.timings.model_dump(exclude_none=True),
                    "degraded": list(event.degraded),
                    "outcome": event.outcome,
                }
                if question.routed_by:
                    fields["routed_by"] = question.routed_by
                if event.misplaced:
                    fields |= misplaced_fields(event.misplaced, event.finish_reason, event.outcome)
                if not include_usage:
                    fields["usage"] = event.usage.model_dump()
                ending = "length" if event.misplaced else event.finish_reason
                yield chunks.delta(event.model, delta, ending, fields)
                answer, _ = move_misplaced("".join(content), "", event.misplaced)
                if fields := (await _judge(grounder, question, context, answer)).write():
                    yield chunks.beside(event.model, fields)
                if include_usage:
                    yield chunks.usage(event.model, event.usage)
    yield DONE
