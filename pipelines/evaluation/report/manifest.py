"""How the run was made, as rows to read."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.evaluation.bundle.records import Machine, Manifest

GIB = 2**30
Rows = tuple[tuple[str, str], ...]


def conditions(manifest: Manifest) -> Rows:
    """What was done, and what keeps arms from profiting of each other."""
    return tuple(_conditions(manifest))


def _conditions(manifest: Manifest) -> Iterator[tuple[str, str]]:
    asked = manifest.conditions
    yield "Started", manifest.started
    yield "Ragline", manifest.version
    yield "Seed", str(asked.seed)
    yield "Repeats", str(asked.repeats)
    yield (
        "Requests at once",
        "one: arms never share the machine" if asked.serial else f"up to {asked.concurrency}",
    )
    yield "Caches", asked.caches
    yield "Prompts begin alike", "no: a line of its own each" if asked.cold else "yes"
    yield "Warm-up", f"{asked.warm_up} requests of each arm, not counted"
    for name, value in (("top_k", asked.top_k), ("top_n", asked.top_n), ("floor", asked.floor)):
        yield f"Retrieval {name}", "the gateway's" if value is None else f"{value:g}"
    if (judge := manifest.judge) is not None:
        most = "the entry's" if judge.max_tokens is None else str(judge.max_tokens)
        yield "Judge", f"{judge.model.id} ({judge.model.model_id}), {most} tokens at most"
    yield "Machine", machine(manifest.machine)


def machine(found: Machine) -> str:
    return (
        f"{found.processor}, {found.cores} cores, {found.memory / GIB:.0f} GiB, {found.system}, "
        f"Python {found.python}"
    )
