"""A guard: says of questions, passages and answers whether they are forbidden, by one of its backends.

Off by default. A text longer than what a classifier sees is checked window by window, so that nothing of it
goes unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import structlog
from prometheus_client import Counter
from pydantic import Field, field_validator

from services.core.backends import Backend, load, names
from services.core.errors import Blocked, RaglineError, ServiceUnavailable
from services.core.health import Check, Soft
from services.core.metrics import Metrics
from services.core.settings import Settings

PACKAGE = "services.core.guards.backends"
WINDOW, OVERLAP = 1500, 200
"""Characters that are checked at a time, and how many of them the next window has again."""

Place = Literal["questions", "passages", "answers"]
PLACES: tuple[Place, ...] = ("questions", "passages", "answers")

log = structlog.get_logger(__name__)


class GuardSettings(Settings):
    """Whether there is a guard, and what it is asked."""

    guard_backend: str = Field(
        "",
        validation_alias="GUARD_BACKEND",
        description="guard of questions, passages and answers: tei (a classifier behind /predict), openai (a "
        "guard model behind a chat endpoint) or patterns (a file of expressions); empty: none",
    )
    guard_places: str = Field(
        "questions,passages,answers",
        validation_alias="GUARD_PLACES",
        description="what the guard checks: questions, passages (at ingestion), answers (held back by a "
        "sentence while they stream), separated by commas",
    )
    guard_failure: Literal["refuse", "go-on"] = Field(
        "refuse",
        validation_alias="GUARD_FAILURE",
        description="where the guard does not answer: refuse (a 503), or go-on unchecked, marked degraded",
    )
    guard_seconds: float = Field(
        5.0, gt=0, validation_alias="GUARD_SECONDS", description="longest wait for the guard, for each check"
    )

    @field_validator("guard_places")
    @classmethod
    def _check_places(cls, text: str) -> str:
        for place in read_places(text):
            if place not in PLACES:
                raise ValueError(f"{place!r} is no place: choose from {', '.join(PLACES)}")
        return text


def read_places(text: str) -> list[str]:
    """Read a list of places."""
    return [part.strip() for part in text.split(",") if part.strip()]


class GuardBackend(Backend, Protocol):
    """Judges texts; safe to call concurrently."""

    async def judge(self, texts: Sequence[str], place: Place, question: str) -> list[str]:
        """Judge texts.

        Args:
            texts: What to judge, each no longer than `WINDOW` characters.
            place: What they are.
            question: What an answer answers; empty elsewhere.

        Returns:
            For each text why it is forbidden, in a word or two; empty where it is not.

        Raises:
            RaglineError: It cannot tell.
        """


class _BackendModule(Protocol):
    async def create(self) -> GuardBackend: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check: why something is forbidden, or that it was let pass unchecked."""

    reason: str = ""
    is_unchecked: bool = False


class Guard:
    """Asks the backend within its time, counts, and decides where it does not answer."""

    def __init__(self, backend: GuardBackend, settings: GuardSettings, metrics: Metrics) -> None:
        self._backend = backend
        self._settings = settings
        self._places = frozenset(read_places(settings.guard_places))
        self._checks = count_checks(metrics)
        self._service = metrics.service
        goes_on = settings.guard_failure == "go-on"
        self.check_ready: Check = Soft(backend.ready) if goes_on else backend.ready

    def watches(self, place: Place) -> bool:
        """Whether it checks what is there."""
        return place in self._places

    async def check(self, place: Place, texts: Sequence[str], question: str = "") -> Checked:
        """Check texts; the first one that is forbidden decides.

        Raises:
            ServiceUnavailable: The guard does not answer, and nothing goes on without it.
        """
        windows = [window for text in texts if text.strip() for window in split_windows(text)]
        if not self.watches(place) or not windows:
            return Checked()
        try:
            async with asyncio.timeout(self._settings.guard_seconds):
                reasons = await self._backend.judge(windows, place, question[:WINDOW])
        except (RaglineError, TimeoutError) as error:
            why = error.message if isinstance(error, RaglineError) else "no answer in time (GUARD_SECONDS)"
            return self._fail(place, why)
        reason = next(filter(None, reasons), "")
        self._checks.labels(self._service, place, "blocked" if reason else "allowed").inc()
        if reason:
            log.warning("blocked", place=place, reason=reason)
        return Checked(reason)

    async def require(self, place: Place, texts: Sequence[str]) -> Checked:
        """Check as `check` does. Raises `Blocked` where something is forbidden."""
        checked = await self.check(place, texts)
        if checked.reason:
            raise Blocked(f"blocked by the guard ({checked.reason})", service="guard")
        return checked

    def _fail(self, place: Place, why: str) -> Checked:
        self._checks.labels(self._service, place, "failed").inc()
        if self._settings.guard_failure == "refuse":
            raise ServiceUnavailable(
                f"the guard cannot tell whether this is allowed: {why} (GUARD_FAILURE=go-on does without it)",
                service="guard",
            )
        log.warning("going on without the guard", place=place, reason=why)
        return Checked(is_unchecked=True)


def guard_checks(guard: Guard | None) -> Mapping[str, Check]:
    """Make what `/health/ready` says of the guard; nothing goes on without it where that is how it is set."""
    return {} if guard is None else {"guard": guard.check_ready}


def count_checks(metrics: Metrics) -> Counter:
    """Make the counter of checks."""
    return Counter(
        "ragline_guard_checks",
        "Checks by the guard: of questions, passages, answers; allowed, blocked, failed",
        ["service", "place", "result"],
        registry=metrics.registry,
    )


def split_windows(text: str) -> Iterator[str]:
    """Split a text into windows that overlap, so that what stands across an edge is whole in one of them."""
    start = 0
    while True:
        yield text[start : start + WINDOW]
        if start + WINDOW >= len(text):
            return
        start += WINDOW - OVERLAP


@asynccontextmanager
async def open_guard(settings: GuardSettings, metrics: Metrics) -> AsyncIterator[Guard | None]:
    """Open the guard that the settings name; None where they name none."""
    if not settings.guard_backend:
        yield None
        return
    if settings.guard_backend not in names(PACKAGE):
        raise RaglineError(
            f"GUARD_BACKEND={settings.guard_backend}: choose one of {', '.join(names(PACKAGE))}, or none"
        )
    module = cast(_BackendModule, load(PACKAGE, settings.guard_backend))
    backend = await module.create()
    try:
        yield Guard(backend, settings, metrics)
    finally:
        await backend.close()
