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
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, locate_model
from services.generation.server import messages, switch
from services.generation.settings import EmbeddedSettings
from services.generation.threads import run_in_thread

CAPABILITIES = Capabilities(
    embedded=True,
    seed=True,
    continuation=True,
    switch=True,
    effort=True,
    grammar=True,
    logprobs=True,
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

    delta: _Delta = Field(default_factory=_Delta)
    text: str = ""
    finish_reason: FinishReason | None = None


class _Usage(_Wire):
    prompt_tokens: int
    completion_tokens: int


class _Error(_Wire):
    message: str
    type: str = ""


class _Templated(_Wire):
    prompt: str


class _Chunk(_Wire):
    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: _Error | None = None


class _Job:
    """One request: a thread inside llama.cpp that hands chunks to the event loop until told to stop."""

    def __init__(self, server: xllamacpp.Server, request: Mapping[str, object]) -> None:
        # a conversation for the model's chat template, or text as it is
        self._handle = server.handle_completions if "prompt" in request else server.handle_chat_completions
        self._request = orjson.dumps(request).decode()
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self.chunks: asyncio.Queue[_Chunk | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        threading.Thread(target=self._run, name="llamacpp", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        try:
            self._handle(self._request, self._receive)
        except Exception as error:  # noqa: BLE001 - the waiting generator raises it
            failure = _Chunk(error=_Error(message=str(error)))
            self._tell(lambda: self.chunks.put_nowait(failure))
        finally:
            self._tell(self._end)

    def _end(self) -> None:
        self.chunks.put_nowait(None)
        self.ended.set()

    def _receive(self, chunk: Mapping[str, object] | str | bytes) -> bool:
        """Called for every step, of the prompt too; llama.cpp cancels its task where this returns true."""
        stop = self._stop.is_set()
        if not stop:
            parsed = _Chunk.model_validate(chunk if isinstance(chunk, Mapping) else orjson.loads(chunk))
            self._tell(lambda: self.chunks.put_nowait(parsed))
        return stop

    def _tell(self, act: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)


class LlamaCppEngine:
    """One model. Loads in the background from the moment it is made."""

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self._entry = entry
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.slots)
        self._jobs: set[_Job] = set()
        self._closed = False
        # llama.cpp's HTTP side cannot be left out; it is on a free loopback port, and this keeps
        # neighbours off it
        self._key = secrets.token_urlsafe(32)
        self._loader = Loader(f"model {entry.name} on llamacpp", self._load)
        self._loader.start()

    @property
    def idle(self) -> bool:
        """Whether no request is inside llama.cpp."""
        return not self._jobs

    async def ready(self) -> None:
        await self._loader.ready()

    async def close(self) -> None:
        self._closed = True
        server = await self._loader.close()
        for job in self._jobs:
            job.stop()
        if self._jobs:
            await asyncio.wait(
                {asyncio.ensure_future(job.ended.wait()) for job in self._jobs}, timeout=CLOSE_SECONDS
            )
        self._jobs.clear()
        if server is not None:
            holder = [server]
            del server
            await run_in_thread(holder.clear, "llamacpp close")

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        server = await self._loader.get()
        async with self._slots:
            if self._closed:
                raise ServiceUnavailable("llamacpp is being unloaded: try again", service="llamacpp")
            job = _Job(server, await self._request(server, prompt))
            self._jobs.add(job)
            try:
                async for delta in self._read(job):
                    yield delta
            finally:
                job.stop()
                # the slot is free when llama.cpp has noticed; waiting for that shields it from the next one
                await asyncio.shield(self._leave(job))

    async def _request(self, server: xllamacpp.Server, prompt: Prompt) -> dict[str, object]:
        """The prompt, or where it has a prefix, the text of its chat template with the prefix after it.

        llama.cpp's own continuation of an assistant message refuses the templates of reasoning models.
        """
        conversation = {"messages": messages(prompt), "reasoning_format": "none"} | switch(prompt)
        if not prompt.prefix:
            return _sampled(prompt) | conversation
        headers = {"authorization": f"Bearer {self._key}"}
        async with HttpClient("llamacpp", server.listening_address, headers=headers) as http:
            body = await http.post("/apply-template", conversation)
        return _sampled(prompt) | {"prompt": _Templated.model_validate_json(body).prompt + prompt.prefix}

    async def _leave(self, job: _Job) -> None:
        await job.ended.wait()
        self._jobs.discard(job)

    async def _read(self, job: _Job) -> AsyncGenerator[Delta]:
        reason: FinishReason | None = None
        while (chunk := await job.chunks.get()) is not None:
            if chunk.error:
                raise self._error(chunk.error)
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                content = choice.delta.content or choice.text
                if content:
                    yield Delta(content=content)
            if chunk.usage and reason:
                counts = TokenCounts(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                yield Delta(finish_reason=reason, tokens=counts)
                return
        raise ServiceError("llamacpp ended without a finish reason", service="llamacpp")

    def _error(self, error: _Error) -> RaglineError:
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
        return await run_in_thread(lambda: xllamacpp.Server(self._parameters(path)), "load")

    def _parameters(self, path: Path) -> xllamacpp.CommonParams:
        settings = self._settings
        threads = settings.thread_count
        batch = LARGE_BATCH if path.stat().st_size > LARGE_FILE else SMALL_BATCH
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = self._entry.max_context * settings.slots
        parameters.n_parallel = settings.slots
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.cache_ram_mib = settings.cache_mib
        parameters.verbosity = 0
        parameters.api_keys = [self._key]
        return parameters


def _sampled(prompt: Prompt) -> dict[str, object]:
    """OpenAI's fields, without llama.cpp's extra samplers: T and top_p mean what they do elsewhere."""
    request: dict[str, object] = {
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "stop": list(prompt.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }
    if prompt.seed is not None:
        # what is left of a cached prompt is computed in other batches, whose last bits differ
        request |= {"seed": prompt.seed % 2**31, "cache_prompt": False}
    return request


async def create(entry: ModelEntry) -> LlamaCppEngine:
    return LlamaCppEngine(entry, Settings.load())
