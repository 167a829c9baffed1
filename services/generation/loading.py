"""Opening a model, which takes long: its file is found or fetched, and it opens in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from services.core.errors import RaglineError, ServiceError, ServiceUnavailable
from services.core.models.fetch import Fetcher, Progress
from services.core.models.memory import check_memory, estimate_memory, read_memory_limit
from services.core.models.references import find_catalogue_name, find_model
from services.generation.entries import ModelEntry

T = TypeVar("T")

Report = Callable[[str], None]
"""Says what is going on, where that takes longer than a request should wait ("" when it is over)."""

RETRY_SECONDS = 10.0
POLL_SECONDS = 0.2
LOGGED_SECONDS = 0.1
"""Loading that took less is not logged."""

LONG_RETRY_AFTER = 10.0

log = structlog.get_logger(__name__)


class Loader(Generic[T]):
    """Opens a `T` in the background, once, and again after a failure.

    Args:
        what: Names it in messages.
        load: Opens it; it may report a phase that takes long.
    """

    def __init__(self, what: str, load: Callable[[Report], Awaitable[T]]) -> None:
        self._what = what
        self._load = load
        self._task: asyncio.Task[T] | None = None
        self._phase = ""
        self._failed_at = 0.0

    def start(self) -> asyncio.Task[T]:
        """Begin to open, where that has not begun, or failed more than `RETRY_SECONDS` ago."""
        task = self._task
        if task is None or (self._failure() and time.monotonic() - self._failed_at > RETRY_SECONDS):
            self._phase = ""
            # a context of its own: the request that asks first must not lend it its deadline and id
            task = self._task = asyncio.create_task(self._run(), context=Context())
        return task

    @property
    def started(self) -> bool:
        """Whether it is open or being opened."""
        return self._task is not None and self._failure() is None

    @property
    def value(self) -> T | None:
        """What was opened, or None as long as it is not there."""
        task = self._task
        return task.result() if task and task.done() and not self._failure() else None

    async def get(self) -> T:
        """Wait until it is open.

        Raises:
            ServiceUnavailable: A reported long phase goes on; raised at once.
        """
        task = self.start()
        while not task.done():
            if self._phase:
                raise ServiceUnavailable(f"{self._what}: {self._phase}", retry_after=LONG_RETRY_AFTER)
            await asyncio.wait({task}, timeout=POLL_SECONDS)
        return task.result()

    async def ready(self) -> None:
        """Return if it is open.

        Raises:
            ServiceUnavailable: It is not; the message says what it does, or why it failed.
        """
        task = self.start()
        failure = self._failure()
        if failure is not None:
            message = failure.message if isinstance(failure, RaglineError) else str(failure)
            raise ServiceUnavailable(f"{self._what}: {message}")
        if not task.done():
            raise ServiceUnavailable(f"{self._what}: {self._phase or 'loading ...'}")

    async def close(self) -> T | None:
        """Stop opening, or hand over what was opened, which the caller closes."""
        task, self._task = self._task, None
        if task is None:
            return None
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        return None if isinstance(outcome, BaseException) else outcome

    def _failure(self) -> BaseException | None:
        task = self._task
        if task is None or not task.done():
            return None
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    async def _run(self) -> T:
        start = time.monotonic()
        try:
            value = await self._load(self._report)
        except RaglineError as error:
            self._failed_at = time.monotonic()
            log.error("loading failed", what=self._what, reason=error.message)
            raise
        except Exception as error:
            self._failed_at = time.monotonic()
            log.error("loading failed", what=self._what, exc_info=error)
            raise ServiceError(f"{self._what} could not be loaded: {error}") from error
        seconds = round(time.monotonic() - start, 2)
        if seconds > LOGGED_SECONDS:
            log.info("loaded", what=self._what, seconds=seconds)
        return value

    def _report(self, phase: str) -> None:
        self._phase = phase


def locate_model(entry: ModelEntry, home: Path, report: Report) -> Path:
    """Find the entry's GGUF file or OpenVINO folder; blocks while a catalogue model is fetched.

    Args:
        entry: An entry of an embedded engine.
        home: The folder RAGLINE_HOME.
        report: Is told how far a download is.

    Raises:
        ServiceUnavailable: LLM_MODEL_PATH names nothing, or the model cannot be fetched.
        NotEnoughMemory: It cannot fit here, so it is not fetched.
    """
    if entry.model_path:
        path = Path(entry.model_path).expanduser()
        if not path.exists():
            raise ServiceUnavailable(f"model path {path} does not exist: correct LLM_MODEL_PATH (model_path)")
        return path
    name = find_catalogue_name(entry.model_id)
    model = find_model(name)
    fetcher = Fetcher(home)
    if model.reference and not fetcher.present(name):
        log.warning("the catalogue does not pin this model: what is fetched now is recorded", model=name)
    needed = estimate_memory(fetcher.measure(name), model.kv_bytes, entry.max_context)
    if warning := check_memory(name, needed, read_memory_limit()):
        log.warning("tight memory", reason=warning)

    def show(progress: Progress) -> None:
        share = 100 * progress.done // progress.total if progress.total else 0
        report(f"fetching {name}: {share} % of {progress.total / 1e6:.0f} MB")

    try:
        return fetcher.fetch(name, progress=show)
    finally:
        report("")
