"""The commands that make question sets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.reach import stack_here
from services.core.wire.passages import DEFAULT_COLLECTION

commands = typer.Typer(help="Make a question set out of your documents.", rich_markup_mode=None)


@commands.callback()
def datasets() -> None:
    """Make a question set out of your documents."""


@commands.command()
def build(
    *,
    n: Annotated[int, typer.Option("--n", help="Questions to keep.", min=1)],
    out: Annotated[Path, typer.Option(help="The file to write, .jsonl.")],
    model: Annotated[str, typer.Option(help="The model entry that writes the questions.")],
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    seed: Annotated[int, typer.Option(help="Of the order of passages and of the sampling.")] = 0,
    unanswerable: Annotated[
        float, typer.Option(help="Share of questions that the documents cannot answer.", min=0, max=1)
    ] = 0.25,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a file that is there.")] = False,
) -> None:
    """Have a model write questions about your documents, and keep those that can be checked.

    The answer must stand in the passage; an unanswerable question names what no passage holds. What is
    dropped goes to OUT.dropped.jsonl with the reason. Asks the services at RETRIEVAL_URL, EMBEDDING_URL and
    GENERATION_URL, else those that run here. Read the file before you use it: set `review` to drop what is
    no good question.
    """
    from pipelines.evaluation.building.builder import Plan  # noqa: PLC0415 - numpy, which others do without
    from services.cli import building  # noqa: PLC0415 - as above

    files = building.files_for(out, resume=resume)
    plan = Plan(collection, n, model, seed, unanswerable)
    asyncio.run(building.from_stack(stack_here(), plan, files, Output.standard()))
