"""Embed a collection anew, after the embedding model has changed.

The new vectors go into a collection of their own. Then the name is switched to it in one step. If it is
stopped, run it again: it goes on where it was. It asks the services at EMBEDDING_URL and RETRIEVAL_URL, or
else those that run here.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from pipelines.reindex import Reindex
from services.cli.console import Output
from services.cli.gateway import local_stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Look after"


def command(
    collection: Annotated[str, typer.Argument(help="A collection, or an alias of one.")] = DEFAULT_COLLECTION,
    *,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Delete the old collection after the switch.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Also where the model is the same: index and embed the passages anew."),
    ] = False,
    batch: Annotated[int, typer.Option(help="Passages to embed at a time.", min=1, max=512)] = 64,
) -> None:
    asyncio.run(reindex(collection, Output.standard(), drop_old=drop_old, again=again, batch=batch))


async def reindex(collection: str, output: Output, *, drop_old: bool, again: bool, batch: int) -> None:
    """Reindex with the services of this machine, or those that their variables name."""
    stack = local_stack()
    async with (
        HttpClient("embedding", stack.url("embedding"), headers=stack.headers("embedding")) as embedding,
        HttpClient("retrieval", stack.url("retrieval"), headers=stack.headers("retrieval")) as retrieval,
    ):
        work = Reindex(RetrievalClient(retrieval), EmbeddingClient(embedding), output.line, batch)
        await work.run(collection, drop_old=drop_old, again=again)
