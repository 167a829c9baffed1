"""Make a question set out of your documents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.evaluation.building.builder import Advance, Builder, Built, Plan
from pipelines.evaluation.building.lines import Files, count_reasons
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import local_stack
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.retrieval import RetrievalClient
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Measure"
EVERY = 10
"""Drafts between two lines of progress, where it is not a terminal."""

command = typer.Typer(rich_markup_mode=None)


@command.callback()
def dataset() -> None:
    """Make a question set out of your documents."""


@command.command()
def build(
    *,
    n: Annotated[int, typer.Option("--n", help="Questions to keep.", min=1)],
    out: Annotated[Path, typer.Option(help="The file to write, .jsonl.")],
    model: Annotated[str, typer.Option(help="The model entry that writes the questions.")],
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    seed: Annotated[int, typer.Option(help="Fixes the order of the passages, and the sampling.")] = 0,
    unanswerable: Annotated[
        float, typer.Option(help="Share of questions that the documents cannot answer.", min=0, max=1)
    ] = 0.25,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a file that is there already.")
    ] = False,
) -> None:
    """Have a model write questions about your documents, and keep those that can be checked.

    The answer must stand in the passage; an unanswerable question names what no passage holds. What is
    dropped goes to OUT.dropped.jsonl with the reason. Asks the services at RETRIEVAL_URL, EMBEDDING_URL and
    GENERATION_URL, else those that run here. Read the file before you use it: set `review` to drop what is
    no good question.
    """
    files = prepare_files(out, resume=resume)
    plan = Plan(collection, n, model, seed, unanswerable)
    asyncio.run(build_from_stack(local_stack(), plan, files, Output.standard()))


def prepare_files(out: Path, *, resume: bool) -> Files:
    """Return where to write. Raises `UsageError` where a file is there already or cannot be written."""
    if out.suffix != ".jsonl":
        raise UsageError(f"{out} must end in .jsonl: that is what 'ragline eval' reads")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}: make it first")
    files = Files(out)
    if files.exist and not resume:
        there = out if out.exists() else files.dropped_path
        raise UsageError(f"{there} is there already: --resume goes on with it, another --out leaves it alone")
    return files


async def build_from_stack(stack: Stack, plan: Plan, files: Files, output: Output) -> Built:
    """Build with the stack's services, or those that their variables name."""

    def client(name: str) -> HttpClient:
        return HttpClient(name, stack.url(name), headers=stack.headers(name))

    async with (
        client("retrieval") as retrieval,
        client("embedding") as embedding,
        client("generation") as generation,
    ):
        builder = Builder(
            RetrievalClient(retrieval), EmbeddingClient(embedding), GenerationClient(generation)
        )
        return await build_dataset(builder, plan, files, output)


async def build_dataset(builder: Builder, plan: Plan, files: Files, output: Output) -> Built:
    """Build, show how far it is, and print a summary."""
    with _show_progress(plan.n, output) as advance:
        built = await builder.build(plan, files, advance)
    print_summary(built, plan, files, output)
    return built


def print_summary(built: Built, plan: Plan, files: Files, output: Output) -> None:
    kept, dropped = len(built.kept), len(built.dropped)
    asked = kept + dropped
    without = sum(not line.answerable for line in built.kept)
    share = f" ({kept / asked:.0%})" if asked else ""
    output.line(f"asked {asked}, kept {kept}{share}, {without} of them unanswerable; dropped {dropped}")
    for reason, count in count_reasons(list(built.dropped)).items():
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
class _ProgressLines:
    """Progress where it is no terminal: a line now and then."""

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
def _show_progress(total: int, output: Output) -> Iterator[Advance]:
    if not output.err.is_terminal:
        yield _ProgressLines(total, output).advance
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
