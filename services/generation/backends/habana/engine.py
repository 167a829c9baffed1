"""The `habana` engine: generations of one model, one at a time, each in a thread.

It runs on an HPU (Gaudi), from a folder, a GGUF file or a hub id. Without an HPU the same engine runs plain
transformers on the CPU: slow, and exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.core.errors import ServiceError, ServiceUnavailable
from services.core.models.catalogue import CATALOGUE
from services.core.models.references import find_catalogue_name
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.backends.habana import gaudi
from services.generation.backends.habana.torch_model import TorchModel
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, locate_model
from services.generation.settings import EmbeddedSettings
from services.generation.text import Detokenizer, StopScanner
from services.generation.threads import ThreadStream, run_in_thread

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


class HabanaEngine:
    """Generates with one model, one generation at a time; more wait.

    The model loads in the background from the moment the engine is made.
    """

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self._entry = entry
        self._settings = settings
        self._turn = asyncio.Lock()
        self._generation: ThreadStream[int] | None = None
        self._closed = False
        self._loader = Loader(f"model {entry.name} on habana", self._load)
        self._loader.start()

    @property
    def idle(self) -> bool:
        """Whether the model computes nothing."""
        return self._generation is None

    async def ready(self) -> None:
        await self._loader.ready()

    async def close(self) -> None:
        self._closed = True
        model = await self._loader.close()
        if model is not None and self._generation is not None:
            self._generation.stop()
            await self._generation.ended.wait()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        model = await self._loader.get()
        tokens = await run_in_thread(lambda: model.encode(prompt, self._entry.name), "habana tokenize")
        limit = min(prompt.max_tokens, model.context - len(tokens))
        async with self._turn:
            if self._closed:
                raise ServiceUnavailable("habana is being unloaded: try again", service="habana")
            generation = self._generation = ThreadStream(
                lambda put, stopping: model.generate(tokens, prompt, limit, put, stopping),
                "habana",
                failure=lambda error: ServiceError(f"habana failed: {error}", service="habana"),
            )
            try:
                async for delta in _read(model, generation, prompt, limit, len(tokens)):
                    yield delta
            finally:
                generation.stop()
                # the turn ends when the model has noticed; waiting for that shields it from the next one
                await asyncio.shield(self._end_turn(generation))

    async def _end_turn(self, generation: ThreadStream[int]) -> None:
        await generation.ended.wait()
        self._generation = None

    async def _load(self, report: Report) -> TorchModel:
        settings, entry = self._settings, self._entry
        device = gaudi.Device(settings.device or gaudi.find_device(), settings.bucket, settings.graphs)

        def open_model() -> TorchModel:
            source: str | Path = entry.model_id
            # a hub id is the model's own weights here, also where the catalogue has a GGUF file of it
            listed = "/" not in entry.model_id or entry.model_id.lower().endswith("-gguf")
            if entry.model_path or (listed and find_catalogue_name(entry.model_id) in CATALOGUE):
                source = locate_model(entry, settings.root, report)
            return TorchModel.open(source, device, context=entry.max_context, threads=settings.thread_count)

        return await run_in_thread(open_model, "load")


async def _read(
    model: TorchModel, generation: ThreadStream[int], prompt: Prompt, limit: int, prompt_tokens: int
) -> AsyncGenerator[Delta]:
    """Yield the answer as it comes; ends after the delta with the finish reason."""
    text = Detokenizer(model.decode)
    scanner = StopScanner(prompt.stop)
    count = 0
    async for token in generation:
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
    """Make an engine for the entry, with the settings of the environment."""
    return HabanaEngine(entry, Settings.load())
