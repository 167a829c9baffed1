"""`ragline dataset build`: a question set out of one's own documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.evaluation.building.builder import Advance, Builder, Built, Plan
from pipelines.evaluation.building.lines import Files, reasons
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.stack import Stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.retrieval import RetrievalClient

EVERY = 10
"""Drafts between two lines of progress, where it is not a terminal."""


def files_for(out: Path, *, resume: bool) -> Files:
    """Where to write. UsageError, before anything is asked, where a file is there already or cannot be."""
    if out.suffix != ".jsonl":
        raise UsageError(f"{out} must end in .jsonl: that is what 'ragline eval' reads")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}: make it first")
    files = Files(out)
    if files.exist and not resume:
        there = out if out.exists() else files.dropped_path
        raise UsageError(f"{there} is there already: --resume goes on with it, another --out leaves it alone")
    return files


async def from_stack(stack: Stack, plan: Plan, files: Files, output: Output) -> Built:
    """`build` with the stack's services, or those that their variables name."""
    async with (
        HttpClient("retrieval", stack.url("retrieval")) as retrieval,
        HttpClient("embedding", stack.url("embedding")) as embedding,
        HttpClient("generation", stack.url("generation")) as generation,
    ):
        builder = Builder(
            RetrievalClient(retrieval), EmbeddingClient(embedding), GenerationClient(generation)
        )
        return await build(builder, plan, files, output)


async def build(builder: Builder, plan: Plan, files: Files, output: Output) -> Built:
    """Build, show how far it is, print what came of it."""
    with _progress(plan.n, output) as advance:
        built = await builder.build(plan, files, advance)
    summary(built, plan, files, output)
    return built


def summary(built: Built, plan: Plan, files: Files, output: Output) -> None:
    kept, dropped = len(built.kept), len(built.dropped)
    asked = kept + dropped
    without = sum(not line.answerable for line in built.kept)
    share = f" ({kept / asked:.0%})" if asked else ""
    output.line(f"asked {asked}, kept {kept}{share}, {without} of them unanswerable; dropped {dropped}")
    for reason, count in reasons(list(built.dropped)).items():
        output.line(f"  {count:>5}  {reason}")
    documents = len({line.group for line in built.kept})
    unfound = sum(line.meta.get("rank") == "none" for line in built.kept if line.answerable)
    output.line(f"from {documents} documents; a search misses the passage of {unfound} answerable ones")
    if built.exhausted:
        output.problem(
            f"every passage was asked about, and {kept} of {plan.n} questions were kept: ingest more "
            "documents, or use a larger model"
        )
    output.line(f'{files.out}: read it through; "review": "drop" leaves a line out')


@dataclass
class _Told:
    """Lines of progress for a log."""

    total: int
    output: Output
    begun: float = field(default_factory=monotonic)
    first: int | None = None

    def advance(self, kept: int, asked: int, dropped: int) -> None:
        if self.first is None:
            self.first = kept - 1 if kept else 0
        if asked % EVERY:
            return
        speed = (kept - self.first) / max(1e-9, monotonic() - self.begun)
        left = f", about {(self.total - kept) / speed:.0f} s to go" if speed > 0 else ""
        self.output.err.print(f"{kept} of {self.total} kept, {dropped} dropped{left}", soft_wrap=True)


@contextmanager
def _progress(total: int, output: Output) -> Iterator[Advance]:
    if not output.err.is_terminal:
        yield _Told(total, output).advance
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("dropped {task.fields[dropped]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.err, transient=True) as bar:
        task = bar.add_task("questions", total=total, dropped=0)
        yield lambda kept, asked, dropped: bar.update(task, completed=kept, dropped=dropped)
