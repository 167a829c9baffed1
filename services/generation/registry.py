"""The model registry: entries by name, their engines opened when first asked for, few of them kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import asdict, dataclass

import structlog

from services.core.errors import RaglineError, RateLimited, ServiceUnavailable
from services.core.places import Line, LineFullError, Places
from services.core.wire.chat import ModelCapabilities, ModelInfo
from services.generation.backend import Capabilities, Engine
from services.generation.entries import Entries, ModelEntry
from services.generation.loading import Loader, Report
from services.generation.opening import Openings
from services.generation.routing import Health, Route
from services.generation.selection import Activity
from services.generation.task import profile_of

SMOOTHING = 0.2

log = structlog.get_logger(__name__)


class Admission:
    """Gives out the `slots` of one entry; those of all entries wait in one line."""

    def __init__(self, slots: int, line: Line) -> None:
        self._line = line
        self._places = Places(slots, line, smoothing=SMOOTHING)

    @asynccontextmanager
    async def hold_slot(self) -> AsyncIterator[None]:
        """Hold one of the slots; the caller waits for it.

        Raises:
            RateLimited: Too many wait already.
        """
        try:
            await self._places.enter()
        except LineFullError:
            raise RateLimited(
                f"{self._line.waiting} requests are waiting already (LLM_QUEUE): try again later",
                retry_after=self._places.retry_after,
            ) from None
        start = time.monotonic()
        try:
            yield
        finally:
            self._places.leave()
            self._places.learn(time.monotonic() - start)


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine, the name of its file, and how many requests it gets at once.

    `find_better` is there where the engine is one for now: it says which one it shall be.
    """

    engine: Engine
    name: str
    slots: int
    find_better: Callable[[], Awaitable[str]] | None = None


Opener = Callable[[ModelEntry, Report], Awaitable[Opened]]
Embedded = Callable[[ModelEntry], bool]
"""Whether an entry's engine holds the model in this process's memory."""


class _Slot:
    """Holds one entry and what is open for it."""

    def __init__(self, entry: ModelEntry, opener: Opener) -> None:
        self.entry = entry
        self.loader: Loader[Opened] = Loader(f"model {entry.name}", lambda report: opener(entry, report))
        self.admission: Admission | None = None
        self.users = 0
        self.used_at = 0.0
        self.settling = ""


class Registry:
    """Owns the engines. It keeps `loaded_max` embedded ones in memory, and closes the least recently used
    idle one where another needs the room."""

    def __init__(
        self,
        entries: Entries,
        *,
        opener: Opener,
        embedded: Embedded,
        queue: int,
        loaded_max: int,
        down_seconds: float,
        activity: Activity | None = None,
    ) -> None:
        self.entries = entries
        self._health = Health(down_seconds)
        self.openings = Openings()
        self._tasks: set[asyncio.Task[object]] = set()
        self._activity = activity or Activity()
        self._opener = opener
        self._slots = {name: _Slot(entry, self._open_engine) for name, entry in entries.by_name.items()}
        self._embedded = embedded
        self._line = Line(queue)
        self._loaded_max = loaded_max
        self._opening = asyncio.Lock()
        self._released = asyncio.Event()

    def preload(self) -> None:
        """Begin to open the default entry, and those at servers, which cost nothing here."""
        for slot in self._slots.values():
            if slot.entry is self.entries.default or slot.entry.endpoint:
                slot.loader.start()

    @asynccontextmanager
    async def lease(self, entry: ModelEntry) -> AsyncIterator[Engine]:
        """Lend an entry's engine: open it where needed, and wait for a turn.

        Args:
            entry: The entry to use.

        Raises:
            RateLimited: Too many requests wait already.
            RaglineError: The engine cannot be opened.
        """
        slot = self._slots[entry.name]
        slot.users += 1
        self._activity.begun += 1
        self._activity.running += 1
        slot.used_at = time.monotonic()
        try:
            opened = await self._open(slot)
            if slot.admission is None:
                slot.admission = Admission(opened.slots, self._line)
            async with slot.admission.hold_slot():
                yield opened.engine
        finally:
            slot.users -= 1
            self._activity.running -= 1
            slot.used_at = time.monotonic()
            self._released.set()

    def route(self, entry: ModelEntry) -> Route:
        """Make a request's way to the entry or to one of its fallbacks."""
        return Route(self.entries.chain(entry), self._health)

    async def ready(self) -> None:
        """Return if the default entry or a fallback of it can answer, and begin to open the fallbacks if not.

        Raises:
            RaglineError: Neither can; this is what the default entry failed with.
        """
        failure: RaglineError | None = None
        for entry in self.entries.chain(self.entries.default):
            slot = self._slots[entry.name]
            if failure is not None and not slot.loader.started:
                self._warm(slot)
            try:
                await self._slot_ready(slot)
                return
            except RaglineError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    async def models(self) -> list[ModelInfo]:
        """List every entry; one that is not open has `ready` false and a `detail` that says why."""
        return list(await asyncio.gather(*(self._info(slot) for slot in self._slots.values())))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for slot in self._slots.values():
            await self._close(slot)

    def _warm(self, slot: _Slot) -> None:
        """Open an entry for the requests to come; the next request that asks sees a failure."""
        self._run_aside(self._open(slot))

    def _run_aside(self, work: Coroutine[object, object, object]) -> None:
        """Run `work` in a task of its own, in no request's context; what it raises was said elsewhere."""
        task: asyncio.Task[object] = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _open_engine(self, entry: ModelEntry, report: Report) -> Opened:
        opened = await self._opener(entry, report)
        if opened.find_better is not None:
            slot = self._slots[entry.name]
            slot.settling = f"{opened.name} answers while the engines are measured"
            self._run_aside(self._settle(slot, opened, opened.find_better))
        return opened

    async def _settle(self, slot: _Slot, opened: Opened, find_better: Callable[[], Awaitable[str]]) -> None:
        """Find out which engine is better than one for now, and change to it once no request uses that."""
        try:
            name = await find_better()
            if name != opened.name:
                slot.settling = f"{name} takes over from {opened.name}"
                await self._change_engine(slot, opened)
        except RaglineError as error:
            log.warning("the engine stays", entry=slot.entry.name, engine=opened.name, reason=error.message)
        finally:
            slot.settling = ""

    async def _change_engine(self, slot: _Slot, opened: Opened) -> None:
        while True:
            while slot.users:
                self._released.clear()
                await self._released.wait()
            async with self._opening:
                if slot.users:
                    continue
                if not slot.loader.started or await slot.loader.get() is not opened:
                    return  # it made room for another entry
                await self._close(slot)
                slot.admission = None
                task = slot.loader.start()
            await task
            return

    async def _slot_ready(self, slot: _Slot) -> None:
        if not slot.loader.started and slot.entry is not self.entries.default:
            raise ServiceUnavailable(f"model {slot.entry.name} is not loaded: the first request loads it")
        await slot.loader.ready()
        opened = slot.loader.value
        if opened is not None:
            await opened.engine.ready()

    async def _open(self, slot: _Slot) -> Opened:
        if not slot.loader.started:
            async with self._opening:
                if not slot.loader.started:
                    await self._make_room_for(slot)
                    slot.loader.start()
        return await slot.loader.get()

    async def _make_room_for(self, slot: _Slot) -> None:
        """Close the least recently used idle engine where there are enough; waits for one to fall idle."""
        while self._embedded(slot.entry):
            others = [other for other in self._slots.values() if other.loader.started]
            resident = [other for other in others if self._embedded(other.entry)]
            if len(resident) < self._loaded_max:
                return
            idle = [other for other in resident if not other.users]
            if idle:
                await self._close(min(idle, key=lambda other: other.used_at))
            else:
                self._released.clear()
                await self._released.wait()

    async def _close(self, slot: _Slot) -> None:
        opened = await slot.loader.close()
        if opened is not None:
            await opened.engine.close()

    async def _info(self, slot: _Slot) -> ModelInfo:
        opened = slot.loader.value
        detail = "not loaded: the first request loads it"
        if slot.loader.started:
            try:
                await self._slot_ready(slot)
                detail = ""
            except RaglineError as error:
                detail = error.message
        return ModelInfo(
            id=slot.entry.name,
            engine=opened.name if opened else slot.entry.engine,
            model_id=slot.entry.model_id,
            profile=profile_of(slot.entry).name,
            aliases=list(slot.entry.aliases),
            fallback=[entry.name for entry in self.entries.chain(slot.entry)[1:]],
            capabilities=_capabilities(opened.engine.capabilities) if opened else None,
            default=slot.entry is self.entries.default,
            ready=not detail,
            detail=detail,
            settling=slot.settling,
        )


def _capabilities(capabilities: Capabilities) -> ModelCapabilities:
    return ModelCapabilities.model_validate(asdict(capabilities))
