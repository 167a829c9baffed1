"""Memory and CPU of services while they work: each process with its children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psutil

INTERVAL = 2.0
"""Seconds: a look goes through every process of the machine, on the cores that are measured."""
MIB = 1024 * 1024


@dataclass
class Usage:
    """CPU seconds since the watch began, and the highest resident memory seen, by service and in all."""

    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    peak_sum: float = 0.0


class Watch:
    def __init__(self, pids: Mapping[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._ended: dict[str, dict[int, float]] = {name: {} for name in pids}
        self._memory: dict[str, float] = {}

    def cpu(self) -> dict[str, float]:
        """CPU seconds by service up to now; those of a child that has ended stay counted as last seen."""
        self._look()
        return {name: sum(seen.values()) for name, seen in self._ended.items()}

    @asynccontextmanager
    async def usage(self) -> AsyncIterator[Usage]:
        """Filled while the body runs."""
        usage, before = Usage(), self.cpu()

        async def sample() -> None:
            while True:
                self._look()
                for name, memory in self._memory.items():
                    usage.peak[name] = max(usage.peak.get(name, 0.0), memory)
                usage.peak_sum = max(usage.peak_sum, sum(self._memory.values()))
                await asyncio.sleep(INTERVAL)

        sampling = asyncio.create_task(sample())
        try:
            yield usage
        finally:
            sampling.cancel()
            usage.cpu = {name: after - before[name] for name, after in self.cpu().items()}

    def _look(self) -> None:
        for name, root in self._roots.items():
            memory = 0
            for process in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._ended[name][process.pid] = times.user + times.system
                    memory += process.memory_info().rss
            self._memory[name] = memory / MIB
