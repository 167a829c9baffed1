"""The commands that compare and measure answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.cli import compare as comparing
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
    from services.cli import ground as grounding  # noqa: PLC0415 - its extra is not everybody's

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

    Writes its results.json anew, and its report where it has one, and says whether every figure is as it was
    recorded. The exit code is 1 where one is not.
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


@commands.command("eval")
def evaluate(
    *,
    dataset: Annotated[
        str, typer.Option(help="Data sets, or a file.jsonl of your own, separated by commas.")
    ],
    arms: Annotated[
        str,
        typer.Option(help="[NAME=]MODEL[+PROMPT][@THINKING TOKENS], separated by commas; or a .json file."),
    ],
    out: Annotated[Path, typer.Option(help="The folder of the bundle; the same one again goes on with it.")],
    n: Annotated[str, typer.Option("--n", help="Questions of each set, or SET=N,...; empty: all.")] = "",
    repeats: Annotated[int, typer.Option(help="How often each question is asked.")] = 1,
    seed: Annotated[int, typer.Option(help="Draws the questions and their order.")] = 0,
    concurrency: Annotated[int, typer.Option(help="Requests at once; 1: one after another.")] = 1,
    serial: Annotated[bool, typer.Option("--serial", help="As --concurrency 1.")] = False,
    retrieve: Annotated[
        bool | None,
        typer.Option(help="Retrieve also where questions have passages; or never: closed book."),
    ] = None,
    collection: Annotated[
        str, typer.Option(help="Where to retrieve from where a data set brings no corpus.")
    ] = DEFAULT_COLLECTION,
    floor: Annotated[float, typer.Option(help="Cosine that a retrieved passage needs.", min=0, max=1)] = 0.0,
    top_n: Annotated[int | None, typer.Option(help="Passages that reach the prompt.", min=1, max=50)] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets.")] = None,
    judge: Annotated[
        str, typer.Option(help="Model entry that compares the answers with the baseline's, both ways round.")
    ] = "",
    judge_may_be_arm: Annotated[
        bool, typer.Option("--judge-may-be-arm", help="Let it judge answers of its own model.")
    ] = False,
) -> None:
    """Ask every arm every question from the same passages, and record it all in a bundle.

    The first arm is the baseline:

        ragline eval --dataset logic --n 40 --arms small,large,large@128 --out runs/logic

    Stopped in any way, the same command goes on where it was. The exit code is 1 where a request failed.
    """
    from services.cli import evaluate as evaluating  # noqa: PLC0415 - as above

    evaluating.check_installed()
    evaluation = evaluating.planned(
        evaluating.Wanted(dataset=dataset, arms=arms, n=n, data=data, folder=out),
        evaluating.Options(
            seed=seed,
            repeats=repeats,
            concurrency=1 if serial else concurrency,
            retrieve=retrieve,
            collection=collection,
            floor=floor,
            top_n=top_n,
        ),
    )
    judging = evaluating.Judging(judge, judge_may_be_arm)
    output = Output.standard()
    failed = with_gateway(lambda client: evaluating.evaluate(evaluation, client, output, judging))
    raise typer.Exit(1 if failed else 0)


@commands.command()
def report(bundle: Annotated[Path, typer.Argument(help="The folder of a run.")]) -> None:
    """Write a run's report into its folder: report.html, report.md and report.json.

    The HTML is one file that loads nothing from anywhere: open it, send it, print it.
    """
    from services.cli import report as reporting  # noqa: PLC0415 - as above

    reporting.report(bundle, Output.standard())
