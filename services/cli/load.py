"""The command that loads a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.reach import with_gateway
from services.core.client import HttpClient
from services.core.wire.passages import DEFAULT_COLLECTION

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def load(
    *,
    arms: Annotated[str, typer.Option(help="MODEL[+PROMPT][@THINKING TOKENS], separated by commas.")],
    dataset: Annotated[
        str, typer.Option(help="What the users ask: a data set's name, or a .jsonl of yours.")
    ],
    concurrency: Annotated[str, typer.Option(help="Users at once, separated by commas.")] = "1,2,4,8",
    slo: Annotated[str, typer.Option(help="Most seconds: of ttft, ttfo, e2el, tpot.")] = "ttfo=5,e2el=20",
    share: Annotated[
        float, typer.Option(help="Share of requests that must meet them.", min=0.01, max=1)
    ] = 0.9,
    duration: Annotated[float, typer.Option(help="Seconds for each arm and concurrency.", min=1)] = 60,
    requests: Annotated[int | None, typer.Option(help="Fewer seconds: end after as many.", min=1)] = None,
    pause: Annotated[float, typer.Option(help="Seconds a user reads before the next one.", min=0)] = 0,
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, for all arms alike.", min=1)] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until a request counts as failed.", min=1)] = 120,
    warm_up: Annotated[int, typer.Option(help="Requests of each arm that do not count.", min=0)] = 1,
    warm: Annotated[bool, typer.Option("--warm", help="Let prefix caches help, as in a chat.")] = False,
    seed: Annotated[int, typer.Option(help="Of the questions' and the arms' order.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Folder with public evaluation sets.")] = None,
    out: Annotated[Path, typer.Option(help="The report, JSON.")] = Path("load.json"),
    force: Annotated[bool, typer.Option("--force", help="Write over a report that is there.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The gateway may be another machine.")
    ] = False,
) -> None:
    """Say how many users each arm serves at once within its objectives, on this machine.

    Each user asks, waits for the whole answer, reads for --pause seconds and asks again:

        ragline load --arms small,large --dataset mine.jsonl --concurrency 1,2,4 --slo ttfo=5,e2el=20

    The exit code is 1 where no request was answered.
    """
    from pipelines.evaluation import datasets  # noqa: PLC0415 - a second of imports that other commands save
    from pipelines.evaluation.load.driver import Bounds  # noqa: PLC0415 - as above
    from pipelines.evaluation.load.results import parse_slo  # noqa: PLC0415 - as above
    from services.cli import loading  # noqa: PLC0415 - as above

    if out.exists() and not force:
        raise UsageError(f"{out} is there already: --force writes over it, --out names another")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}: make it first")
    asked = datasets.load_dataset(dataset, data, seed=seed)
    plan = loading.Plan(
        arms=loading.arms_of(arms, max_tokens),
        concurrencies=loading.concurrencies_of(concurrency),
        bounds=Bounds(requests, duration, pause),
        slo=parse_slo(slo),
        target_share=share,
        collection=collection,
        questions=loading.shuffled([item.prompt for item in asked.items], seed),
        timeout=timeout,
        warm_up=warm_up,
        seed=seed,
        cold=not warm,
    )
    output = Output.standard()

    async def work(client: HttpClient) -> bool:
        loading.check_target(client.base_url, allow_remote=allow_remote)
        report = await loading.load(plan, client, out, output)
        return any(each.throughput for each in report.cells)

    raise typer.Exit(0 if with_gateway(work) else 1)
