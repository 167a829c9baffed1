"""llama.cpp in this process (xllamacpp's Server, without its HTTP), from a GGUF file: any x86 or ARM CPU."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import orjson
import xllamacpp
from pydantic import BaseModel, ConfigDict, Field

from services.core.client import HttpClient
from services.core.errors import ContextLengthExceeded, RaglineError, ServiceError, ServiceUnavailable
from services.core.wire.chat import FinishReason
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.backends.llamaserver import (
    RenderedPrompt,
    make_conversation,
    make_grammar_fields,
    make_sampler_fields,
)
from services.generation.entries import ModelEntry
from services.generation.features import read_logprobs
from services.generation.loading import Loader, Report, locate_model
from services.generation.probe import HELLO, OpeningProbe
from services.generation.server import make_sampling_fields
from services.generation.settings import EmbeddedSettings
from services.generation.threads import StreamingWork, ThreadStream, run_in_thread

CAPABILITIES = Capabilities(
    embedded=True,
    seed=True,
    continuation=True,
    switch=True,
    effort=True,
    grammar=True,
    logprobs=True,
    bias=True,
    penalties=True,
    distribution="xllamacpp",
)
"""No reasoning of its own: llama.cpp's parser is switched off, its text comes with the tags in it."""

LARGE_FILE = 700_000_000
SMALL_BATCH, LARGE_BATCH = 64, 32
"""Prompt tokens per step, between two of which a request is cancelled: a step takes 0.3 to 0.6 s on two
cores; with 256 it would be 5 % faster and deaf for seconds."""

CLOSE_SECONDS = 10.0


class Settings(EmbeddedSettings):
    slots: int = Field(
        2,
        ge=1,
        le=64,
        validation_alias="LLAMACPP_SLOTS",
        description="llamacpp: sequences decoded together, each with memory for LLM_MAX_CONTEXT tokens",
    )
    cache_mib: int = Field(
        256,
        ge=0,
        validation_alias="LLAMACPP_CACHE_MIB",
        description="llamacpp: memory for prompts that have left their slot",
    )


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Delta(_Wire):
    content: str | None = None


class _Choice(_Wire):
    """A chat chunk has a `delta`, one of a raw completion a `text`."""

    logprobs: object = None
    delta: _Delta = Field(default_factory=_Delta)
    text: str = ""
    finish_reason: FinishReason | None = None


class _Usage(_Wire):
    prompt_tokens: int
    completion_tokens: int


class _Error(_Wire):
    message: str
    type: str = ""


class _Chunk(_Wire):
    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: _Error | None = None


class LlamaCppEngine:
    """Generates with one model, which loads in the background from the moment the engine is made."""

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self.capabilities = CAPABILITIES
        self._probe = OpeningProbe(entry, self._render_hello)
        self._entry = entry
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.slots)
        self._running: set[ThreadStream[_Chunk]] = set()
        self._closed = False
        # llama.cpp's HTTP side cannot be left out; it is on a free loopback port, and this keeps
        # neighbours off it
        self._key = secrets.token_urlsafe(32)
        self._loader = Loader(f"model {entry.name} on llamacpp", self._load)
        self._loader.start()

    @property
    def idle(self) -> bool:
        """Whether no request is inside llama.cpp."""
        return not self._running

    async def ready(self) -> None:
        await self._loader.ready()
        self.capabilities = await self._probe.look(self.capabilities)

    async def close(self) -> None:
        self._closed = True
        server = await self._loader.close()
        for chunks in self._running:
            chunks.stop()
        if self._running:
            ended = {asyncio.ensure_future(chunks.ended.wait()) for chunks in self._running}
            await asyncio.wait(ended, timeout=CLOSE_SECONDS)
        self._running.clear()
        if server is not None:
            holder = [server]
            del server
            await run_in_thread(holder.clear, "llamacpp close")

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        server = await self._loader.get()
        async with self._slots:
            if self._closed:
                raise ServiceUnavailable("llamacpp is being unloaded: try again", service="llamacpp")
            chunks = ThreadStream(
                _stream_request(server, await self._make_request(server, prompt)),
                "llamacpp",
                failure=lambda error: ServiceError(f"llamacpp: {error}", service="llamacpp"),
            )
            self._running.add(chunks)
            try:
                async for delta in self._read(chunks):
                    yield delta
            finally:
                chunks.stop()
                # the slot is free when llama.cpp has noticed; waiting for that shields it from the next one
                await asyncio.shield(self._free_slot(chunks))

    async def _make_request(self, server: xllamacpp.Server, prompt: Prompt) -> dict[str, object]:
        """Write the prompt, or where it has a prefix, the text of its chat template with the prefix after it.

        llama.cpp's own continuation of an assistant message refuses the templates of reasoning models.
        """
        request = make_sampling_fields(prompt) | make_sampler_fields(prompt) | {"return_progress": True}
        conversation = make_conversation(prompt) | {"reasoning_format": "none"}
        if not prompt.prefix:
            return request | conversation
        rendered = await self._render(server, conversation)
        return request | {"prompt": rendered + prompt.prefix} | make_grammar_fields(prompt)

    async def _render(self, server: xllamacpp.Server, conversation: dict[str, object]) -> str:
        """Return the conversation as its chat template opens the assistant's turn."""
        headers = {"authorization": f"Bearer {self._key}"}
        async with HttpClient("llamacpp", server.listening_address, headers=headers) as http:
            body = await http.post("/apply-template", conversation)
        return RenderedPrompt.model_validate_json(body).prompt

    async def _render_hello(self) -> str:
        return await self._render(await self._loader.get(), make_conversation(HELLO))

    async def _free_slot(self, chunks: ThreadStream[_Chunk]) -> None:
        await chunks.ended.wait()
        self._running.discard(chunks)

    async def _read(self, chunks: ThreadStream[_Chunk]) -> AsyncGenerator[Delta]:
        """Yield the answer as it comes; ends after the delta with the finish reason."""
        reason: FinishReason | None = None
        async for chunk in chunks:
            if chunk.error:
                raise self._make_error(chunk.error)
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                content = choice.delta.content or choice.text
                logprobs = read_logprobs(choice.logprobs)
                if content or logprobs:
                    yield Delta(content=content, logprobs=logprobs)
            if chunk.usage and reason:
                counts = TokenCounts(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                yield Delta(finish_reason=reason, tokens=counts)
                return
        raise ServiceError("llamacpp ended without a finish reason", service="llamacpp")

    def _make_error(self, error: _Error) -> RaglineError:
        if error.type == "exceed_context_size_error":
            return ContextLengthExceeded(
                f"model {self._entry.name}: {error.message}: send fewer or shorter passages or messages",
                service="llamacpp",
            )
        return ServiceError(f"llamacpp: {error.message}", service="llamacpp")

    async def _load(self, report: Report) -> xllamacpp.Server:
        path = await run_in_thread(lambda: locate_model(self._entry, self._settings.root, report), "fetch")
        if path.suffix != ".gguf":
            raise ServiceUnavailable(
                f"llamacpp needs a .gguf file, not {path}: correct LLM_MODEL_PATH or LLM_ENGINE"
            )
        return await run_in_thread(lambda: xllamacpp.Server(self._make_parameters(path)), "load")

    def _make_parameters(self, path: Path) -> xllamacpp.CommonParams:
        settings = self._settings
        batch = LARGE_BATCH if path.stat().st_size > LARGE_FILE else SMALL_BATCH
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = self._entry.max_context * settings.slots
        parameters.n_parallel = settings.slots
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.cpuparams.n_threads = settings.thread_count
        parameters.cpuparams_batch.n_threads = settings.thread_count
        parameters.cache_ram_mib = settings.cache_mib
        parameters.verbosity = 0
        parameters.api_keys = [self._key]
        return parameters


def _stream_request(server: xllamacpp.Server, request: Mapping[str, object]) -> StreamingWork[_Chunk]:
    """Return the work of a thread inside llama.cpp, which gives the chunks of one request."""
    # a conversation for the model's chat template, or text as it is
    handle = server.handle_completions if "prompt" in request else server.handle_chat_completions

    def work(put: Callable[[_Chunk], None], stopping: threading.Event) -> None:
        def receive(chunk: Mapping[str, object] | str | bytes) -> bool:
            """Take what every step gives, of the prompt too; llama.cpp cancels its task where this returns
            true."""
            stop = stopping.is_set()
            if not stop:
                put(_Chunk.model_validate(chunk if isinstance(chunk, Mapping) else orjson.loads(chunk)))
            return stop

        handle(orjson.dumps(request).decode(), receive)

    return work


async def create(entry: ModelEntry) -> LlamaCppEngine:
    """Make an engine for the entry, with the settings of the environment."""
    return LlamaCppEngine(entry, Settings.load())
