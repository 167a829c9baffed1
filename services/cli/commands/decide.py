"""Ask two arms until it is settled which one you may use.

May the second take the place of the first? The run stops as soon as its evidence,
which is valid whenever one looks, settles the policy, or cannot within its budget:

    ragline decide --policy policy.toml --dataset squad2,logic --arms small,large --minutes 30

If it is stopped, or its budget was too small, run the same command again: it goes on where it was. The exit
code is 0 for yes, 1 for no, 2 where something cannot be used, and 3 where it is not settled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.runner.plan import Options
from services.cli.commands.eval import Wanted, check_installed, evaluate, plan_evaluation
from services.cli.commands.gate import UNDECIDED
from services.cli.console import Output
from services.cli.gateway import call_gateway
from services.core.errors import RaglineError
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Measure"


def command(
    *,
    policy: Annotated[Path, typer.Option(help="A TOML file: the margin and the rules.")],
    dataset: Annotated[
        str, typer.Option(help="Data sets, or a file.jsonl of your own, separated by commas.")
    ],
    arms: Annotated[str, typer.Option(help="Two arms, the baseline first, as in 'ragline eval'.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder of the bundle. Left out: runs/decide-POLICY.")
    ] = None,
    questions: Annotated[int | None, typer.Option(help="Questions to ask at most.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of asking at most.")] = None,
    n: Annotated[str, typer.Option("--n", help="Questions to draw from each set, or SET=N,...")] = "",
    seed: Annotated[int, typer.Option(help="Draws the questions and their order.", min=0)] = 0,
    retrieve: Annotated[
        bool | None,
        typer.Option(
            help="Retrieve for all questions, or for none (closed book); else for those without passages."
        ),
    ] = None,
    collection: Annotated[
        str, typer.Option(help="Where to retrieve from, for data sets without a corpus.")
    ] = DEFAULT_COLLECTION,
    floor: Annotated[float, typer.Option(help="Cosine that a retrieved passage needs.", min=0, max=1)] = 0.0,
    top_n: Annotated[int | None, typer.Option(help="Passages that reach the prompt.", min=1, max=50)] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets.")] = None,
) -> None:
    check_installed()
    from pipelines.evaluation.runner.deciding import Budget  # noqa: PLC0415 - loads scipy, which may not be there

    output = Output.standard()
    folder = out or Path("runs") / f"decide-{policy.stem}"
    try:
        evaluation = plan_evaluation(
            Wanted(dataset=dataset, arms=arms, n=n, data=data, folder=folder, policy=policy),
            Options(seed=seed, retrieve=retrieve, collection=collection, floor=floor, top_n=top_n),
            Budget(questions, minutes),
        )
        call_gateway(lambda client: evaluate(evaluation, client, output))
        answer = read_results(folder).swaps[0].answer
    except RaglineError as error:
        output.error(error)
        raise typer.Exit(2) from None
    raise typer.Exit({"yes": 0, "no": 1, "undecided": UNDECIDED}[answer])
