"""Say how many users each arm serves at once on this machine.

Each user asks, waits for the whole answer, reads for --pause seconds and asks again. An arm serves so many
users where enough of their requests are within the objectives of --slo:

    ragline load --arms small,large --dataset mine.jsonl --concurrency 1,2,4 --slo ttfo=5,e2el=20

The exit code is 1 where no request was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Self

import typer

from pipelines.evaluation import datasets
from pipelines.evaluation.load import run as loading
from pipelines.evaluation.load.driver import Bounds
from pipelines.evaluation.load.records import LoadCell, LoadReport, Quantile, Sample
from pipelines.evaluation.load.results import find_warnings, parse_slo
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import call_gateway
from services.core.client import HttpClient
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Measure"


def command(
    *,
    arms: Annotated[str, typer.Option(help="MODEL[+PROMPT][@THINKING TOKENS], separated by commas.")],
    dataset: Annotated[
        str, typer.Option(help="What the users ask: a data set's name, or a .jsonl of yours.")
    ],
    concurrency: Annotated[str, typer.Option(help="Users at once, separated by commas.")] = "1,2,4,8",
    slo: Annotated[str, typer.Option(help="Longest seconds of ttft, ttfo, e2el, tpot.")] = "ttfo=5,e2el=20",
    share: Annotated[
        float, typer.Option(help="Share of requests that must meet --slo.", min=0.01, max=1)
    ] = 0.9,
    duration: Annotated[float, typer.Option(help="Seconds for each arm and concurrency.", min=1)] = 60,
    requests: Annotated[
        int | None, typer.Option(help="End after so many requests, if that is sooner.", min=1)
    ] = None,
    pause: Annotated[float, typer.Option(help="Seconds that a user reads before asking again.", min=0)] = 0,
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, for all arms alike.", min=1)] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until a request counts as failed.", min=1)] = 120,
    warm_up: Annotated[int, typer.Option(help="Requests of each arm that do not count.", min=0)] = 1,
    warm: Annotated[bool, typer.Option("--warm", help="Let prefix caches help, as in a chat.")] = False,
    seed: Annotated[int, typer.Option(help="Fixes the order of the questions and arms.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets.")] = None,
    out: Annotated[Path, typer.Option(help="The JSON file to write the report to.")] = Path("load.json"),
    force: Annotated[bool, typer.Option("--force", help="Write over a report that is there.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The gateway may be another machine.")
    ] = False,
) -> None:
    if out.exists() and not force:
        raise UsageError(f"{out} is there already: --force writes over it, --out names another")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}: make it first")
    questions = datasets.load_dataset(dataset, data, seed=seed)
    plan = loading.Plan(
        arms=loading.parse_arms(arms, max_tokens),
        concurrencies=loading.parse_concurrencies(concurrency),
        bounds=Bounds(requests, duration, pause),
        slo=parse_slo(slo),
        target_share=share,
        collection=collection,
        questions=loading.shuffle_questions([item.prompt for item in questions.items], seed),
        timeout=timeout,
        warm_up=warm_up,
        seed=seed,
        cold=not warm,
    )
    output = Output.standard()

    async def load(client: HttpClient) -> bool:
        loading.check_target(client.base_url, allow_remote=allow_remote)
        with CellWatcher(output) as watcher:
            report = await loading.run_load(plan, client, out, watcher)
        print_report(report, output)
        return any(cell.throughput for cell in report.cells)

    raise typer.Exit(0 if call_gateway(load) else 1)


class CellWatcher:
    """Counts a cell's answers in the status line, and prints a line when it has ended."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._status = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._status.close()

    def say(self, text: str) -> None:
        self._output.line(text)

    def begin_cell(self, arm: str, users: int) -> Callable[[Sample], None]:
        what = f"{arm}, {users} at once"
        spinner = self._status.enter_context(self._output.spinner(what))
        answered = 0

        def count(sample: Sample) -> None:
            nonlocal answered
            answered += 1
            spinner.say(f"{what}: {answered} answered")

        return count

    def end_cell(self, measured: LoadCell) -> None:
        self._status.close()
        self._output.line(_cell_line(measured))


def print_report(report: LoadReport, output: Output) -> None:
    """Print the table, the verdicts, and what a reader must know first."""
    header = ["arm", "users", "requests", "errors", "TTFO p50", "TTFO p95", "E2EL p50", "E2EL p95"]
    output.line()
    output.table([[*header, "answers/s", "goodput/s", "within"], *map(_cell_row, report.cells)])
    output.line(
        "Seconds. A median needs 6 requests, a p95 72; a request that timed out counts as at least (≥) the "
        "time until then, one that failed otherwise has no time."
    )
    output.line()
    for verdict in report.verdicts:
        output.line(verdict.sentence)
    for warning in find_warnings(report):
        output.problem(warning)


def _cell_row(cell: LoadCell) -> list[str]:
    share = "-" if cell.share_within_slo is None else f"{cell.share_within_slo:.0%}"
    figures = [_seconds(quantiles, level) for quantiles in (cell.ttfo, cell.e2el) for level in (0.5, 0.95)]
    counts = [cell.arm, str(cell.concurrency), str(cell.requests), str(sum(cell.errors.values()))]
    return [*counts, *figures, f"{cell.throughput:.3g}", f"{cell.goodput:.3g}", share]


def _cell_line(cell: LoadCell) -> str:
    failed = f", {sum(cell.errors.values())} failed" if cell.errors else ""
    within = "" if cell.share_within_slo is None else f", {cell.share_within_slo:.0%} within the objectives"
    took = f"{cell.requests} requests in {cell.duration_seconds:.0f} s"
    return f"{cell.arm}, {cell.concurrency} at once: {took}{failed}{within}"


def _seconds(quantiles: Sequence[Quantile], level: float) -> str:
    found = next((quantile for quantile in quantiles if quantile.level == level), None)
    if found is None or found.value is None:
        return "insufficient"
    return f"{'≥ ' if found.at_least else ''}{found.value / 1e3:.2f}"
