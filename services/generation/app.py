"""The generation service: OpenAI's chat completions and models over the model registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import cast

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from services.core.app import create_app
from services.core.backends import load, names
from services.core.errors import ServiceError
from services.core.health import Check
from services.core.replies import EventStream, JsonReply, until_disconnected
from services.core.wire.chat import ChatReply, ModelList
from services.generation import selection
from services.generation.backend import PACKAGE, EngineModule
from services.generation.completion import SERVICE, Completion
from services.generation.configuration import AUTO, find_backend, read_entries
from services.generation.entries import ModelEntry
from services.generation.loading import Report
from services.generation.metrics import GenerationMetrics
from services.generation.opea import (
    IGNORED_HEADER,
    GenerationRequest,
    write_text_chunks,
    write_text_reply,
)
from services.generation.registry import Opened, Registry
from services.generation.settings import Settings
from services.generation.task import make_task

router = APIRouter(tags=["generation"])
log = structlog.get_logger(__name__)


def create(settings: Settings) -> FastAPI:
    """Make the service's app; the registry is at `app.state.registry`, the default entry loads at once.

    Raises:
        BadEntries: The environment describes no usable models.
    """
    entries = read_entries(settings, names(PACKAGE))

    activity = selection.Activity()

    async def opener(entry: ModelEntry, report: Report) -> Opened:
        name = find_backend(entry.engine)
        if name != AUTO:
            return await open_engine(entry, name)
        engines = selection.candidates()
        for_now = None if settings.waits_for_engine else selection.choose_for_now(settings.root, engines)
        if for_now is not None:
            try:
                opened = await open_engine(entry, for_now)
            except ServiceError as error:
                log.warning("not even for now", engine=for_now, entry=entry.name, reason=error.message)
            else:
                find_better = partial(
                    selection.choose,
                    entry,
                    settings.root,
                    lambda _: None,
                    engines=engines,
                    measure=selection.measure_beside(activity),
                )
                return replace(opened, find_better=find_better)
        return await open_engine(
            entry,
            await selection.choose(
                entry, settings.root, report, engines=engines, measure=selection.measure_in_child
            ),
        )

    async def open_engine(entry: ModelEntry, name: str) -> Opened:
        module = cast(EngineModule, load(PACKAGE, name))
        slots = settings.concurrency if module.CAPABILITIES.embedded else settings.server_concurrency
        return Opened(await module.create(entry), name, slots)

    def is_embedded(entry: ModelEntry) -> bool:
        name = find_backend(entry.engine)
        return name == AUTO or cast(EngineModule, load(PACKAGE, name)).CAPABILITIES.embedded

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        registry = Registry(
            entries,
            opener=opener,
            embedded=is_embedded,
            queue=settings.queue,
            loaded_max=settings.loaded_max,
            down_seconds=settings.down_seconds,
            activity=activity,
        )
        app.state.registry = registry
        app.state.generation_metrics = GenerationMetrics(app.state.metrics)
        registry.preload()
        try:
            yield {f"model {entries.default.name}": registry.ready}
        finally:
            await registry.close()

    return create_app(service=SERVICE, settings=settings, router=router, resources=resources)


@router.post(
    "/v1/chat/completions",
    response_model=ChatReply,
    summary="OpenAI: a completion; `model` names a model entry, an alias of it or its model id",
)
async def chat_completions(request: Request, body: GenerationRequest) -> Response:
    """OPEA's forms are taken too: a text as `messages`, `query` with `documents`, or a reranker's reply."""
    registry: Registry = request.app.state.registry
    settings: Settings = request.app.state.settings
    completion = Completion(
        registry,
        request.app.state.generation_metrics,
        body.find_entry(registry.entries),
        lambda entry: make_task(
            body, entry, answer=settings.max_tokens, thinking=settings.max_reasoning_tokens
        ),
    )
    ignored = {IGNORED_HEADER: ", ".join(body.ignored)} if body.ignored else {}
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        events = completion.stream(include_usage=include_usage)
        stream = await EventStream.open(
            request, write_text_chunks(events) if body.text_form else events, service=SERVICE
        )
        stream.headers.update(completion.headers | ignored)
        return stream
    reply = await until_disconnected(request, completion.reply())
    content = write_text_reply(reply) if body.text_form else reply.model_dump()
    return JsonReply(content, headers=completion.headers | ignored)


@router.get("/v1/models", summary="The model entries, the default one marked, each with its state")
async def models(request: Request) -> ModelList:
    registry: Registry = request.app.state.registry
    return ModelList(data=await registry.models())
