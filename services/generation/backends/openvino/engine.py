"""The `openvino` engine: one model in a process of its own, which is started again where it dies.

openvino-genai is loaded there alone: a crash of it ends the requests in it, not the service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.metadata import version
from importlib.util import find_spec

from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.backends.openvino.folder import DONE, convert_in_child, find_converted_folder
from services.generation.backends.openvino.process import MODULE, EngineProcess
from services.generation.backends.openvino.protocol import Opening
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, locate_model
from services.generation.settings import EmbeddedSettings
from services.generation.threads import run_in_thread

if find_spec("openvino_genai") is None:  # nothing here imports it, but nothing works without it
    raise ModuleNotFoundError("No module named 'openvino_genai'", name="openvino_genai")

DISTRIBUTION = "openvino-genai"
# no seed: its sampler has one for all requests; no logprobs: it knows the chosen token's only
CAPABILITIES = Capabilities(
    embedded=True,
    converts=True,
    continuation=True,
    switch=True,
    effort=True,
    grammar=True,
    penalties=True,
    distribution=DISTRIBUTION,
)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second restart in a row, and at most; before the first there is none."""

HEALTHY_SECONDS = 60.0
"""A process that lived longer does not count in the row."""


def restart_pause(deaths: int) -> float:
    """Compute how long to wait before the restart after so many deaths in a row."""
    return 0.0 if deaths < 2 else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (deaths - 2))


class OpenVinoEngine:
    """Generates with one model, which loads in the background from the moment the engine is made.

    Args:
        entry: The model entry.
        settings: Threads, concurrency, and where models are.
        module: What runs in the engine's process.
    """

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry, settings: EmbeddedSettings, module: str = MODULE) -> None:
        self._entry = entry
        self._settings = settings
        self._module = module
        self._closed = False
        self._deaths = 0
        self._death = ""
        self._opened_at = 0.0
        self._loader = self._start_loading()

    @property
    def idle(self) -> bool:
        """Whether the engine computes nothing."""
        process = self._loader.value
        return process is None or process.idle

    @property
    def pid(self) -> int | None:
        """The engine's process, None while there is none that serves."""
        process = self._loader.value
        return process.pid if process else None

    async def ready(self) -> None:
        await self._loader.ready()

    async def close(self) -> None:
        self._closed = True
        process = await self._loader.close()
        if process is not None:
            await process.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        process = await self._loader.get()
        async with aclosing(process.generate(prompt)) as deltas:
            async for delta in deltas:
                yield delta

    def _start_loading(self) -> Loader[EngineProcess]:
        loader = Loader(f"model {self._entry.name} on openvino", self._load)
        loader.start()
        return loader

    async def _load(self, report: Report) -> EngineProcess:
        pause = restart_pause(self._deaths)
        if pause:
            report(f"its engine process {self._death}: it starts again in {pause:g} s")
            await asyncio.sleep(pause)
            report("")
        settings, entry = self._settings, self._entry
        path = await run_in_thread(lambda: locate_model(entry, settings.root, report), "fetch")
        if path.is_file():
            folder = find_converted_folder(path, settings.root, version(DISTRIBUTION))
            if not (folder / DONE).exists():
                report(f"converting {path.name} for openvino (once, about a minute) ...")
                await convert_in_child(path, folder)
                report("")
            path = folder
        opening = Opening(
            str(path), entry.name, entry.max_context, settings.thread_count, settings.concurrency
        )
        process = await EngineProcess.open(opening, self._restart, self._module)
        self._opened_at = time.monotonic()
        return process

    def _restart(self, death: str) -> None:
        """Start again after a death: at once, and later the more of them come in a row."""
        if self._closed:
            return
        lived = time.monotonic() - self._opened_at
        self._deaths = 1 if lived > HEALTHY_SECONDS else self._deaths + 1
        self._death = death
        self._loader = self._start_loading()


async def create(entry: ModelEntry) -> OpenVinoEngine:
    """Make an engine for the entry, with the settings of the environment."""
    return OpenVinoEngine(entry, EmbeddedSettings.load())
