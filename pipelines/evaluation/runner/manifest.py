"""The record of how a run asks, made before it asks anything: the conditions, this machine, the versions."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.arms import prompt_named
from pipelines.evaluation.bundle.files import encode_line
from pipelines.evaluation.bundle.records import (
    Conditions,
    DatasetRecord,
    Grounds,
    Machine,
    Manifest,
    RunQuestion,
)
from pipelines.evaluation.runner.contexts import Ground
from pipelines.evaluation.runner.plan import Chosen, Options
from pipelines.prompting import PROMPTS
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

COLD = (
    "every prompt began with a line of its own (a random number), so that no request found its prompt, or "
    "the passages in it, in a prefix cache that another request had filled"
)
CLOSED = "closed book"
_DECIDING = (
    "ragline",
    "champ-dataset",
    "numpy",
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "optimum-habana",
    "qdrant-client",
    "qdrant-edge-py",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "xllamacpp",
)


def manifest(
    sets: Sequence[Chosen],
    asked: Sequence[RunQuestion],
    grounds: Mapping[str, Ground],
    *,
    arms: tuple[ArmRequest, ...],
    models: Sequence[ModelInfo],
    options: Options,
) -> Manifest:
    """`grounds` are by the questions' ids."""
    used = {arm.model for arm in arms}
    return Manifest(
        version=version("ragline"),
        started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        datasets=tuple(_record(each, asked, grounds) for each in sets),
        arms=arms,
        conditions=Conditions(
            seed=options.seed,
            repeats=options.repeats,
            concurrency=options.concurrency,
            serial=options.concurrency == 1,
            cold=True,
            caches=COLD,
            warm_up=options.warm_up,
            top_n=options.top_n,
            floor=options.floor,
        ),
        models=tuple(model for model in models if model.id in used),
        prompts=_prompts(arms, {ground.grounds for ground in grounds.values()}),
        versions=versions(),
        machine=machine(),
    )


def _record(chosen: Chosen, asked: Sequence[RunQuestion], grounds: Mapping[str, Ground]) -> DatasetRecord:
    whole = chosen.whole
    ours = [each for each in asked if each.dataset == whole.name]
    kinds = {grounds[each.id].grounds for each in ours}
    collections = sorted({grounds[each.id].collection for each in ours} - {""})
    return DatasetRecord(
        name=whole.name,
        n=len(ours),
        of=len(whole.items),
        grounds=kinds.pop() if len(kinds) == 1 else "mixed",
        origin=whole.origin,
        licence=whole.licence,
        notice=whole.notice,
        sha256=hashlib.sha256(b"".join(map(encode_line, ours))).hexdigest(),
        collection=", ".join(collections),
    )


def _prompts(arms: Sequence[ArmRequest], grounds: set[Grounds]) -> dict[str, str]:
    """What opens the system message, and the reminder after the question, of each strategy."""
    found: dict[str, str] = {}
    for name in sorted({arm.prompt for arm in arms}):
        prompt = PROMPTS[prompt_named(name)]
        if grounds != {"none"}:
            found[name] = "\n".join(part for part in (prompt.instruction, prompt.reminder) if part)
        if "none" in grounds:
            found[f"{name}, {CLOSED}"] = prompt.closed
    return found


def versions() -> dict[str, str]:
    """Of the installed distributions that decide about a result. A gateway elsewhere may have others."""
    found = {}
    for name in _DECIDING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def machine() -> Machine:
    """`memory` is 0 where the system does not say."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=_cores(),
        memory=_memory(),
        python=platform.python_version(),
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
