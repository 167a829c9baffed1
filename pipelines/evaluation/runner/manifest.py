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

from pipelines.evaluation.bundle.files import encode_line
from pipelines.evaluation.bundle.records import (
    Conditions,
    DatasetRecord,
    Grounds,
    Machine,
    Manifest,
    RunQuestion,
)
from pipelines.evaluation.runner.contexts import PassageOrigin
from pipelines.evaluation.runner.plan import ChosenDataset, Options
from pipelines.prompting import PROMPTS, find_prompt
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

COLD = (
    "every prompt began with a line of its own (a random number), so that no request found its prompt, or "
    "the passages in it, in a prefix cache that another request had filled"
)
CLOSED = "closed book"
_DECIDING_PACKAGES = (
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


def make_manifest(
    datasets: Sequence[ChosenDataset],
    questions: Sequence[RunQuestion],
    origins: Mapping[str, PassageOrigin],
    *,
    arms: tuple[ArmRequest, ...],
    models: Sequence[ModelInfo],
    options: Options,
) -> Manifest:
    """Describe a run that is about to begin.

    Args:
        datasets: The data sets in use.
        questions: All questions, as they are asked.
        origins: Where the passages of each question come from, by the question's id.
        arms: The arms, each with its entry's own name.
        models: The entries that the gateway lists; those that no arm uses are left out.
        options: How the questions are asked.
    """
    used = {arm.model for arm in arms}
    return Manifest(
        version=version("ragline"),
        started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        datasets=tuple(_describe_dataset(dataset, questions, origins) for dataset in datasets),
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
        prompts=_prompt_texts(arms, {origin.grounds for origin in origins.values()}),
        versions=list_installed_versions(),
        machine=describe_machine(),
    )


def _describe_dataset(
    chosen: ChosenDataset, questions: Sequence[RunQuestion], origins: Mapping[str, PassageOrigin]
) -> DatasetRecord:
    whole = chosen.whole
    own_questions = [question for question in questions if question.dataset == whole.name]
    grounds = {origins[question.id].grounds for question in own_questions}
    collections = sorted({origins[question.id].collection for question in own_questions} - {""})
    return DatasetRecord(
        name=whole.name,
        n=len(own_questions),
        of=len(whole.items),
        grounds=grounds.pop() if len(grounds) == 1 else "mixed",
        origin=whole.origin,
        licence=whole.licence,
        notice=whole.notice,
        sha256=hashlib.sha256(b"".join(map(encode_line, own_questions))).hexdigest(),
        collection=", ".join(collections),
    )


def _prompt_texts(arms: Sequence[ArmRequest], grounds: set[Grounds]) -> dict[str, str]:
    """Collect the texts of the prompt strategies in use: what opens the system message, and the reminder
    after the question."""
    texts: dict[str, str] = {}
    for name in sorted({arm.prompt for arm in arms}):
        prompt = PROMPTS[find_prompt(name)]
        if grounds != {"none"}:
            texts[name] = "\n".join(part for part in (prompt.instruction, prompt.reminder) if part)
        if "none" in grounds:
            texts[f"{name}, {CLOSED}"] = prompt.closed
    return texts


def list_installed_versions() -> dict[str, str]:
    """List the versions of the installed packages that decide about a result.

    A gateway on another machine may have others.
    """
    versions = {}
    for name in _DECIDING_PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def describe_machine() -> Machine:
    """Describe this machine; `memory` is 0 where the system does not say."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor_name(),
        cores=_usable_cores(),
        memory=_memory_bytes(),
        python=platform.python_version(),
    )


def _processor_name() -> str:
    with suppress(OSError):
        for entry in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = entry.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
