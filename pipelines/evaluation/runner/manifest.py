"""The record of how a run asks, made before it asks anything."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from pipelines.arms import prompt_named
from pipelines.evaluation.bundle.files import line
from pipelines.evaluation.bundle.records import Asked, Conditions, DatasetRecord, Grounds, Manifest
from pipelines.evaluation.runner import environment
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


def manifest(
    sets: Sequence[Chosen],
    asked: Sequence[Asked],
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
        versions=environment.versions(),
        machine=environment.machine(),
    )


def _record(chosen: Chosen, asked: Sequence[Asked], grounds: Mapping[str, Ground]) -> DatasetRecord:
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
        sha256=hashlib.sha256(b"".join(map(line, ours))).hexdigest(),
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
