"""The commands that compare and measure answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.cli import compare as comparing
from services.cli import ground as grounding
from services.cli.console import Output
from services.cli.reach import stack_here, with_gateway
from services.core.errors import RaglineError
from services.core.wire.passages import DEFAULT_COLLECTION

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def compare(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    arms: Annotated[str, typer.Option(help="MODEL[+PROMPT][@THINKING TOKENS], separated by commas.")],
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    together: Annotated[
        bool, typer.Option("--together", help="All arms at once, not one after another.")
    ] = False,
    grounding: Annotated[
        bool, typer.Option(help="Judge each sentence of the answers against the passages.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the whole comparison as JSON.")] = False,
) -> None:
    """Ask several models the same question, from the same passages.

    Retrieves once and freezes the context, so that the answers differ by model, prompt and thinking alone:

        ragline compare "How dense is ice?" --arms small,large,large@256

    The exit code is 1 where an arm failed.
    """
    names = [arm.strip() for arm in arms.split(",") if arm.strip()]
    asked = comparing.Question(question, names, collection, serial=not together, grounding=grounding)
    output = Output.standard()
    failed = with_gateway(lambda client: comparing.compare(asked, client, output, as_json=json))
    raise typer.Exit(1 if failed else 0)


@commands.command()
def ground(
    *,
    source: Annotated[
        Path, typer.Option("--input", help="JSONL: a `claim` and its `passages` in each line.")
    ],
    local: Annotated[bool, typer.Option("--local", help="Embed in this process, whatever runs.")] = False,
) -> None:
    """Say how well claims are supported by their passages, a JSON line for each.

    Writes `p_supported`, `p_contradicted` and the supporting `spans` to standard output. The embedding
    service that runs here, or EMBEDDING_URL, gives the vectors; where there is none, this process does.
    """
    claims = grounding.read(source)
    stack = stack_here()
    served = not local and ("embedding" in stack.external or "embedding" in stack.running)
    url = stack.url("embedding") if served else ""
    asyncio.run(grounding.ground(claims, Output.standard(), embedding_url=url))


@commands.command()
def replay(
    bundle: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only; write nothing.")] = False,
) -> None:
    """Score a run's recorded answers again: no service, no model, no network.

    Writes its results.json anew, and says whether every figure is as it was recorded. The exit code is 1
    where one is not.
    """
    from services.cli import replay as replaying  # noqa: PLC0415 - a second of imports that other commands save

    raise typer.Exit(0 if replaying.replay(bundle, Output.standard(), check=check) else 1)


@commands.command()
def gate(
    bundle: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    policy: Annotated[Path, typer.Option(help="What the candidate must hold: a TOML file.")],
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Say whether a candidate may take the baseline's place, by a policy of one's own.

    The exit code is 0 where it passes, 1 where it does not, 2 where policy or bundle cannot be used.
    """
    from services.cli import gate as gating  # noqa: PLC0415 - as above

    output = Output.standard()
    try:
        decision = gating.decide(bundle, policy, output)
    except RaglineError as error:
        output.error(error)
        raise typer.Exit(2) from None
    gating.show(decision, output, as_json=json)
    raise typer.Exit(0 if decision.passed else 1)
