"""Waiting for services as long as they work: there is no deadline that a slow machine could miss.

What counts is whether anything moves: what the services say they wait for, the processor time that they use,
what they read from the disk. Only a process that died, or a long time in which nothing moved, ends the wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

from services.cli.errors import NotReady
from services.cli.local.stack import Stack

LOOK_SECONDS = 5.0
TELL_SECONDS = 15.0
STALL_SECONDS = 600.0
"""How long nothing may move."""

LEAST_SHARE = 0.05
"""Part of one processor from which services count as working; to be asked once a second needs less."""
LEAST_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """What processes have done since they started: processor time, and bytes that came from the disk."""

    seconds: float = 0.0
    read_bytes: int = 0

    @classmethod
    def of(cls, pids: Iterable[int]) -> Work:
        """The work of these processes and of their children; those that have ended count as nothing."""
        seconds, read_bytes = 0.0, 0
        for pid in pids:
            with suppress(psutil.Error):
                leader = psutil.Process(pid)
                for process in (leader, *leader.children(recursive=True)):
                    times = process.cpu_times()
                    seconds += times.user + times.system
                    if psutil.LINUX:
                        read_bytes += process.io_counters().read_bytes
        return cls(seconds, read_bytes)


class ActivityWatch:
    """One wait for the services `names` of a stack. `say` hears now and then what is waited for.

    Raises `ServiceDied` where a process has ended, and `NotReady` where nothing has moved for
    `STALL_SECONDS`.
    """

    def __init__(self, stack: Stack, names: Iterable[str], say: Callable[[str], None]) -> None:
        self._stack = stack
        self._names = tuple(names)
        self._say = say
        self._reason = ""
        self._begun = self._looked = self._moved = self._told = time.monotonic()
        self._first = self._last = self._work()

    def news(self) -> None:
        """Something has come: the wait begins anew."""
        self._begun = self._moved = self._told = time.monotonic()

    def look(self, reason: str) -> None:
        """Look whether the services work; `reason` is what is waited for. Call it every few seconds."""
        for name in self._names:
            self._stack.check_alive(name, "while it was waited for")
        now = time.monotonic()
        if reason != self._reason:
            self._reason, self._moved = reason, now
        if now - self._looked >= LOOK_SECONDS:
            work = self._work()
            if self._is_working(work, now - self._looked):
                self._moved = now
            self._last, self._looked = work, now
        if now - self._moved > STALL_SECONDS:
            raise NotReady(
                f"nothing has moved for {STALL_SECONDS:.0f} s: still waiting for {reason}. "
                f"Logs: {self._stack.run / 'logs'}"
            )
        if now - self._told >= TELL_SECONDS:
            self._told = now
            used = self._last.seconds - self._first.seconds
            self._say(
                f"still waiting after {now - self._begun:.0f} s for {reason} "
                f"({used:.0f} s of processor time so far)"
            )

    async def keep(self, work: Coroutine[None, None, T], reason: str) -> T:
        """The result of `work`, which is cut where the services do not work any more."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=min(LOOK_SECONDS, TELL_SECONDS)))[0]:
                self.look(reason)
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        return task.result()

    def _work(self) -> Work:
        pids = (self._stack.pid(name) for name in self._names)
        return Work.of(pid for pid in pids if pid is not None)

    def _is_working(self, work: Work, seconds: float) -> bool:
        return (
            work.seconds - self._last.seconds >= LEAST_SHARE * seconds
            or work.read_bytes - self._last.read_bytes >= LEAST_BYTES
        )
