"""optimum-habana in this process on an HPU (Gaudi), from a folder, a GGUF file or a hub id.

Without an HPU the same engine runs plain transformers on the CPU: slow, and exact.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.core.errors import ServiceError, ServiceUnavailable
from services.core.models.catalogue import CATALOGUE
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.backends.habana import gaudi
from services.generation.backends.habana.torch_model import TorchModel
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, catalogue_name, in_thread, locate_model
from services.generation.settings import EmbeddedSettings
from services.generation.text import Detokenizer, StopScanner

CAPABILITIES = Capabilities(embedded=True, seed=True, continuation=True, switch=True, effort=True)


class Settings(EmbeddedSettings):
    device: Literal["", "hpu", "cpu"] = Field(
        "",
        validation_alias="HABANA_DEVICE",
        description="habana: hpu or cpu; empty: hpu where Habana's torch bridge is installed",
    )
    bucket: int = Field(
        128,
        ge=1,
        validation_alias="HABANA_BUCKET_SIZE",
        description="habana on an HPU: tokens by which static shapes grow; each length compiles a graph",
    )
    graphs: bool = Field(
        True, validation_alias="HABANA_GRAPHS", description="habana on an HPU: record and replay HPU graphs"
    )


class _Job:
    """One generation in a thread of its own, which hands tokens to the event loop until told to stop."""

    def __init__(self, model: TorchModel, tokens: list[int], prompt: Prompt, limit: int) -> None:
        self._model = model
        self._loop = asyncio.get_running_loop()
        self._ask = (tokens, prompt, limit)
        self._cancelled = threading.Event()
        self._failure: Exception | None = None
        self._tokens: asyncio.Queue[int | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        threading.Thread(target=self._run, name="habana", daemon=True).start()

    def stop(self) -> None:
        self._cancelled.set()

    async def tokens(self) -> AsyncGenerator[int]:
        while (token := await self._tokens.get()) is not None:
            yield token
        if self._failure is not None:
            raise ServiceError(f"habana failed: {self._failure}", service="habana") from self._failure

    def _run(self) -> None:
        try:
            self._model.generate(*self._ask, self._see, self._cancelled)
        except Exception as error:  # noqa: BLE001 - the waiting generator raises it
            self._failure = error
        finally:
            self._tell(self._end)

    def _see(self, token: int) -> None:
        self._tell(lambda: self._tokens.put_nowait(token))

    def _end(self) -> None:
        self._tokens.put_nowait(None)
        self.ended.set()

    def _tell(self, act: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)


class HabanaEngine:
    """One model, one generation at a time; more wait. Loads in the background from the moment it is made."""

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self._entry = entry
        self._settings = settings
        self._turn = asyncio.Lock()
        self._job: _Job | None = None
        self._closed = False
        self._loader = Loader(f"model {entry.name} on habana", self._load)
        self._loader.start()

    @property
    def idle(self) -> bool:
        """Whether the model computes nothing."""
        return self._job is None

    async def ready(self) -> None:
        await self._loader.ready()

    async def close(self) -> None:
        self._closed = True
        model = await self._loader.close()
        if model is not None and self._job is not None:
            self._job.stop()
            await self._job.ended.wait()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        model = await self._loader.get()
        tokens = await in_thread(lambda: model.tokens(prompt, self._entry.name), "habana tokenize")
        limit = min(prompt.max_tokens, model.context - len(tokens))
        async with self._turn:
            if self._closed:
                raise ServiceUnavailable("habana is being unloaded: try again", service="habana")
            job = self._job = _Job(model, tokens, prompt, limit)
            try:
                async for delta in _read(model, job, prompt, limit, len(tokens)):
                    yield delta
            finally:
                job.stop()
                # the turn ends when the model has noticed; waiting for that shields it from the next one
                await asyncio.shield(self._leave(job))

    async def _leave(self, job: _Job) -> None:
        await job.ended.wait()
        self._job = None

    async def _load(self, report: Report) -> TorchModel:
        settings, entry = self._settings, self._entry
        device = gaudi.Device(settings.device or gaudi.available(), settings.bucket, settings.graphs)
        threads = settings.thread_count

        def work() -> TorchModel:
            source: str | Path = entry.model_id
            if entry.model_path or catalogue_name(entry.model_id) in CATALOGUE:
                source = locate_model(entry, settings.root, report)
            return TorchModel.open(source, device, context=entry.max_context, threads=threads)

        return await in_thread(work, "load")


async def _read(
    model: TorchModel, job: _Job, prompt: Prompt, limit: int, prompt_tokens: int
) -> AsyncGenerator[Delta]:
    """The answer as it comes; ends after the delta with the finish reason."""
    text = Detokenizer(model.decode)
    scanner = StopScanner(prompt.stop)
    count = 0
    async for token in job.tokens():
        count += 1
        end = token in model.ends
        piece = scanner.push(
            text.push([] if end else [token]) + (text.flush() if end or count == limit else "")
        )
        counts = TokenCounts(prompt_tokens, count)
        if scanner.stopped:
            yield Delta(piece, finish_reason="stop", tokens=counts)
            return
        if end or count == limit:
            yield Delta(piece + scanner.flush(), finish_reason="stop" if end else "length", tokens=counts)
            return
        if piece:
            yield Delta(piece)
    raise ServiceError("habana ended without a finish reason", service="habana")


async def create(entry: ModelEntry) -> HabanaEngine:
    return HabanaEngine(entry, Settings.load())
