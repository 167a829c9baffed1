"""Engine `auto`: the embedded engine with the lower time to first token on this machine.

Measured once per CPU model and engine versions, and remembered below RAGLINE_HOME. It is measured
with the model of the entry that asks first: that file is needed anyway (a smaller stand-in would be
one more download), the conversion it may cost is kept, and quantization types weigh on the result.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import orjson
import structlog
from filelock import FileLock, Timeout

from services.core.backends import UnknownBackend, load, names
from services.core.children import build_command
from services.core.errors import ServiceError, ServiceUnavailable
from services.generation.backend import PACKAGE, Engine, EngineModule, Prompt
from services.generation.entries import ModelEntry
from services.generation.loading import Report
from services.generation.settings import usable_cpus

FILE = "engines.json"
CPUINFO = Path("/proc/cpuinfo")
LOCK_POLL_SECONDS = 0.5

Measurer = Callable[[str, ModelEntry], Awaitable[float]]
"""An engine's median time to first token in seconds; raises `ServiceError` where it cannot run here."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Activity:
    """Counts requests: how many there have been, and how many there are now."""

    begun: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    engine: str
    version: str


def candidates() -> list[Candidate]:
    """The embedded engines to choose from whose packages are installed, in alphabetical order."""
    found = []
    for name in names(PACKAGE):
        try:
            capabilities = cast(EngineModule, load(PACKAGE, name)).CAPABILITIES
            if capabilities.distribution:
                found.append(Candidate(name, version(capabilities.distribution)))
        except (UnknownBackend, PackageNotFoundError):
            continue
    return found


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def key(engines: list[Candidate]) -> str:
    """What a measurement holds for."""
    parts = [f"{engine.engine} {engine.version}" for engine in engines]
    return "; ".join([cpu_model(), f"{usable_cpus()} CPUs", *parts])


def choose_for_now(home: Path, engines: list[Candidate]) -> str | None:
    """Choose an engine that can answer at once, until they are measured.

    Returns:
        One that converts no files; None where they are measured already, or there is nothing to choose.
    """
    if len(engines) < 2 or _recall(home / FILE, key(engines)) is not None:
        return None
    modules = {engine.engine: cast(EngineModule, load(PACKAGE, engine.engine)) for engine in engines}
    return next((name for name, module in modules.items() if not module.CAPABILITIES.converts), None)


async def choose(
    entry: ModelEntry,
    home: Path,
    report: Report,
    *,
    engines: list[Candidate],
    measure: Measurer,
) -> str:
    """The engine for `entry`. Raises `ServiceUnavailable` where none is installed or none works."""
    if not engines:
        raise ServiceUnavailable(
            "no embedded engine is installed: pip install '.[generation]', or set LLM_ENGINE and LLM_ENDPOINT"
        )
    if len(engines) == 1:
        return engines[0].engine
    path, wanted = home / FILE, key(engines)
    known = _recall(path, wanted)
    if known is None:
        report(f"measuring which of {', '.join(c.engine for c in engines)} is faster here (once) ...")
        known = await _measure_once(entry, path, wanted, engines, measure)
        report("")
    return min(known, key=lambda engine: known[engine])


async def _measure_once(
    entry: ModelEntry, path: Path, wanted: str, engines: list[Candidate], measure: Measurer
) -> Mapping[str, float]:
    """Measure inside a lock, because two processes that measure at once slow each other down."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{FILE}.lock"))
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        known = _recall(path, wanted)
        if known is None:
            known = await _measure_all(entry, engines, measure)
            _remember(path, wanted, known)
        return known
    finally:
        lock.release()


async def _measure_all(entry: ModelEntry, engines: list[Candidate], measure: Measurer) -> Mapping[str, float]:
    seconds: dict[str, float] = {}
    failures: list[str] = []
    for candidate in engines:
        try:
            seconds[candidate.engine] = await measure(candidate.engine, entry)
        except ServiceError as error:
            failures.append(f"{candidate.engine}: {error.message}")
    log.info("engines measured", model=entry.model_id, time_to_first_token=seconds, failures=failures)
    if not seconds:
        raise ServiceUnavailable(f"no embedded engine works here: {'; '.join(failures)}")
    return seconds


def measure_beside(activity: Activity) -> Measurer:
    """Make a `Measurer` that gives way to requests; what they may have slowed down is measured again."""

    async def measure(engine: str, entry: ModelEntry) -> float:
        for _ in range(TRIES - 1):
            before = activity.begun
            seconds = await measure_in_child(engine, entry, niceness=NICENESS)
            if activity.begun == before and not activity.running:
                return seconds
        return await measure_in_child(engine, entry, niceness=NICENESS)

    return measure


async def measure_in_child(engine: str, entry: ModelEntry, *, niceness: int = 0) -> float:
    """The real `Measurer`: `services.generation.selection` in a child process."""
    command = build_command("services.generation.selection", engine, str(niceness))
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        output, errors = await child.communicate(entry.model_dump_json().encode())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        return float(orjson.loads(output.strip().splitlines()[-1])["seconds"])
    except (LookupError, ValueError) as error:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or [f"exit status {child.returncode}"]
        raise ServiceError(f"measuring {engine} failed: {lines[-1]}", service=engine) from error


def _recall(path: Path, wanted: str) -> Mapping[str, float] | None:
    try:
        known = orjson.loads(path.read_bytes())[wanted]
        return {str(engine): float(seconds) for engine, seconds in known.items()} or None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _remember(path: Path, wanted: str, seconds: Mapping[str, float]) -> None:
    try:
        everything = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        everything = {}
    part = path.with_name(f".{FILE}.part")
    part.write_bytes(orjson.dumps(everything | {wanted: dict(seconds)}, option=orjson.OPT_INDENT_2))
    part.replace(path)


TRIES = 3
"""Measurements of an engine where requests come in between; the last one counts as it is."""

NICENESS = 10

REPEATS = 3
POLL_SECONDS = 0.05

_FACTS = "Station {n} recorded {a} visitors and {b} millimetres of rain in week {w}."
SENTENCES = 17
"""About 400 tokens, as a retrieved context has; the numbers differ, so no prefix cache helps."""


def probe(number: int) -> Prompt:
    """The fixed prompt; each `number` gives one that shares no prefix with the others."""
    facts = " ".join(
        _FACTS.format(n=number * 100 + i, a=(i * 37 + number) % 97, b=(i * 53) % 89, w=i % 52)
        for i in range(SENTENCES)
    )
    question = f"{number}. Read this: {facts} Which station had the most visitors?"
    return Prompt(messages=(("user", question),), max_tokens=2, temperature=0, top_p=1)


async def time_to_first_token(engine: Engine, repeats: int = REPEATS) -> float:
    """The median in seconds, after one warm-up."""
    seconds = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        stream = engine.generate(probe(number + 1))
        await anext(stream)
        seconds.append(time.perf_counter() - start)
        await stream.aclose()
    return statistics.median(seconds[1:])


async def run(name: str, entry: ModelEntry) -> float:
    """Load the engine, however long that takes, and measure it."""
    engine = await cast(EngineModule, load(PACKAGE, name)).create(entry)
    try:
        while True:
            try:
                return await time_to_first_token(engine)
            except ServiceUnavailable as error:
                if error.retry_after is None:
                    raise
                await asyncio.sleep(POLL_SECONDS)
    finally:
        await engine.close()


if __name__ == "__main__":
    wanted = ModelEntry.model_validate_json(sys.stdin.buffer.read())
    if hasattr(os, "nice"):
        os.nice(int(sys.argv[2]))
    print(orjson.dumps({"seconds": asyncio.run(run(sys.argv[1], wanted))}).decode())
