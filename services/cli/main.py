"""The `ragline` command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from services.cli import ask as asking
from services.cli import conformance, datasets, evaluating, ingesting, load, selftest
from services.cli import models as catalogue
from services.cli import status as statuses
from services.cli import up as running
from services.cli.console import Output
from services.cli.demo import Demo
from services.cli.errors import ServiceDied
from services.cli.reach import stack_here, with_gateway
from services.cli.reindex import Reindex
from services.cli.settings import Settings
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import RaglineError, ServiceUnavailable
from services.core.models.catalogue import entry
from services.core.settings import parse_environment
from services.core.wire.passages import DEFAULT_COLLECTION

T = TypeVar("T")

app = typer.Typer(
    name="ragline",
    help="Ask your documents: six small services, and a model that one variable swaps.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="List the model catalogue, or fetch models.", rich_markup_mode=None)
app.add_typer(models_app, name="models")
app.add_typer(ingesting.commands)
app.add_typer(evaluating.commands)
app.add_typer(load.commands)
app.add_typer(datasets.commands, name="dataset")

Timeout = Annotated[float, typer.Option(help="Seconds to wait until everything is ready.", min=1)]
Collection = Annotated[str, typer.Option(help="The collection of documents.")]


@app.command()
def up(
    only: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE", help="Start this service only; repeatable.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready; keep running.")] = False,
    timeout: Timeout = 600,
) -> None:
    """Start the services; Ctrl-C stops them.

    Each of the six is a process of its own. Missing models are fetched first. Ports are EMBEDDING_PORT,
    RETRIEVAL_PORT and so on; a service whose URL is set (EMBEDDING_URL, ...) is taken to run elsewhere.
    Logs are in RAGLINE_HOME/run/logs.
    """
    command = running.Up(stack_here(), parse_environment(), Output.standard())
    raise typer.Exit(command.run(only or [], detach=detach, timeout=timeout))


@app.command()
def down() -> None:
    """Stop the services.

    Streams in flight may finish; whatever 'ragline up' did not start is left alone.
    """
    stack, output = stack_here(), Output.standard()
    names = list(stack.running)
    stack.stop_all()
    output.line(f"stopped {', '.join(names)}" if names else "nothing was running")


@app.command()
def status() -> None:
    """Show each service and its dependencies.

    The exit code is 1 where something is not ready.
    """
    raise typer.Exit(0 if statuses.show(stack_here(), Output.standard()) else 1)


@app.command()
def restart(
    service: Annotated[str, typer.Argument(help="embedding, retrieval, reranking, generation, ...")],
    timeout: Timeout = 600,
) -> None:
    """Restart one service.

    It gets the present environment and keeps its port, so that this swaps the model:

        LLM_BACKEND=large ragline restart generation
    """
    running.restart(stack_here(), service, parse_environment(), Output.standard(), timeout)


@app.command()
def reindex(
    collection: Annotated[str, typer.Argument(help="A collection, or an alias of one.")] = DEFAULT_COLLECTION,
    *,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Delete the old collection after the switch.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Passages to embed at a time.", min=1, max=512)] = 64,
) -> None:
    """Embed every passage of a collection anew, after a change of the embedding model.

    The new vectors go into a collection of their own; then the name is switched to it in one step. Killed
    on the way, it goes on where it was when it is run again. It asks the services at EMBEDDING_URL and
    RETRIEVAL_URL, else those that run here.
    """
    asyncio.run(_reindex(collection, Output.standard(), drop_old=drop_old, batch=batch))


async def _reindex(collection: str, output: Output, *, drop_old: bool, batch: int) -> None:
    stack = stack_here()
    async with (
        HttpClient("embedding", stack.url("embedding")) as embedding,
        HttpClient("retrieval", stack.url("retrieval")) as retrieval,
    ):
        work = Reindex(RetrievalClient(retrieval), EmbeddingClient(embedding), output, batch)
        await work.run(collection, drop_old=drop_old)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    model: Annotated[str, typer.Option(help="A model entry; empty: the default one.")] = "",
    collection: Collection = DEFAULT_COLLECTION,
    top_k: Annotated[int | None, typer.Option(help="Passages to retrieve.")] = None,
    top_n: Annotated[int | None, typer.Option(help="Passages that reach the model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the gateway's whole reply as JSON.")] = False,
) -> None:
    """Ask a question about your documents.

    The answer is streamed; its sources and where the time went follow.
    """
    asked = asking.Question(question, model=model, collection=collection, top_k=top_k, top_n=top_n)
    output = Output.standard()
    answer = asking.ask_json if json else asking.ask
    with_gateway(lambda client: answer(asked, client, output))


@app.command("conformance")
def conform(
    *,
    endpoint: Annotated[str, typer.Option(help="Base URL of a server, with or without /v1.")] = "",
    model: Annotated[str, typer.Option(help="The model's id at the endpoint.")] = "",
    engine: Annotated[str, typer.Option(help="openai, vllm, tgi, llama-server, ovms, ollama ...")] = "openai",
    entry: Annotated[str, typer.Option(help="A model entry of the service that runs here, instead.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Check the endpoint itself, without Ragline.")] = False,
    timeout: Timeout = 120,
) -> None:
    """Check how an endpoint answers, live.

    Asks a few short questions and checks usage, finish reasons, the two channels, their order, hang-ups and
    errors: of the endpoint behind Ragline, or of the endpoint itself with --raw. LLM_API_KEY is sent where
    it is set. The exit code is 1 where a check failed.
    """
    asked = conformance.Asked(endpoint=endpoint, model=model, engine=engine, entry=entry, raw=raw)
    held = conformance.run(asked, stack_here(), parse_environment(), Output.standard(), timeout)
    raise typer.Exit(0 if held else 1)


@app.command("selftest")
def check_installation(
    *,
    url: Annotated[str, typer.Option(help="The gateway; empty: the one that ask would ask.")] = "",
    skip: Annotated[list[str] | None, typer.Option(help="A model entry not to ask; repeatable.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is not ready.", min=0)] = 60,
) -> None:
    """Test an installation: a document goes in, and every model has to answer from it and cite it.

    It is deleted afterwards. The exit code is 1 where a model did not. This is what 'helm test' runs.
    """
    settings, output = Settings.load(), Output.standard()
    gateway = url or settings.url or stack_here().url("gateway")
    work = selftest.check(gateway, settings.api_key, wait=wait, skip=skip or [], say=output.line)
    raise typer.Exit(0 if asyncio.run(work) else 1)


@app.command()
def demo() -> None:
    """Run everything once, for real.

    Starts six services of its own, ingests Ragline's docs and a small knowledge base, asks, abstains, swaps
    the model and asks again. The exit code is 0 only if every step held. Run it in Ragline's checkout.
    """
    settings = Settings.load()
    Demo(settings.root, parse_environment(), Path.cwd(), Output.standard()).run()


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        catalogue.show(Settings.load().root, Output.standard())


@models_app.command("list")
def models_list() -> None:
    """The models that Ragline knows, and which are on this machine."""
    catalogue.show(Settings.load().root, Output.standard())


@models_app.command("fetch")
def models_fetch(names: Annotated[list[str], typer.Argument(help="Names from 'ragline models'.")]) -> None:
    """Fetch models into RAGLINE_HOME/models; an interrupted fetch continues."""
    output = Output.standard()
    known = [entry(name).name for name in names]
    catalogue.fetch(known, Settings.load().root, output)
    output.line("all here")


def main() -> None:
    """Run the command; a Ragline error is one line on standard error and exit code 1."""
    output = Output.standard()
    try:
        app()
    except ServiceDied as error:
        for line in error.log_tail:
            output.problem(f"  {line}")
        output.error(error)
        sys.exit(1)
    except RaglineError as error:
        output.error(error)
        if isinstance(error, ServiceUnavailable) and error.service == "gateway":
            output.problem("'ragline up' starts it; RAGLINE_URL names one that runs elsewhere")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
