"""Ask every arm every question, and record it all in a bundle.

All arms answer from the same passages. The first arm is the baseline:

    ragline eval --dataset logic --n 40 --arms small,large,large@128 --out runs/logic

If it is stopped, run the same command again: it goes on where it was. The exit code is 1 where a request
failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.evaluation.bundle.prices import parse_prices
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.gate.policy import Policy, read_policy
from pipelines.evaluation.results import ArmOutcome, Results
from pipelines.evaluation.runner import plan
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import Options
from pipelines.evaluation.runner.run import Evaluation, run
from services.cli.commands.report import report
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import call_gateway, local_stack
from services.cli.meter import Meter
from services.core.client import HttpClient
from services.core.clients.generation import GenerationClient
from services.core.errors import DeadlineExceeded, InvalidRequest, NotSupported
from services.core.wire.compare import ArmRequest
from services.core.wire.passages import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from pipelines.evaluation.runner.deciding import Budget

PANEL = "Measure"
NEEDED = ("numpy", "scipy")


def command(
    *,
    dataset: Annotated[
        str, typer.Option(help="Data sets, or a file.jsonl of your own, separated by commas.")
    ],
    arms: Annotated[
        str,
        typer.Option(help="[NAME=]MODEL[+PROMPT][@THINKING TOKENS], separated by commas; or a .json file."),
    ],
    out: Annotated[
        Path, typer.Option(help="The folder of the bundle. A run that was stopped goes on there.")
    ],
    n: Annotated[str, typer.Option("--n", help="Questions of each set, or SET=N,...; empty: all.")] = "",
    repeats: Annotated[int, typer.Option(help="How often each question is asked.")] = 1,
    seed: Annotated[int, typer.Option(help="Chooses the questions and their order.", min=0)] = 0,
    concurrency: Annotated[int, typer.Option(help="Requests at once; 1: one after another.")] = 1,
    serial: Annotated[bool, typer.Option("--serial", help="As --concurrency 1.")] = False,
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
    judge: Annotated[
        str, typer.Option(help="Model entry that compares the answers with the baseline's, both ways round.")
    ] = "",
    price: Annotated[
        str,
        typer.Option(help="ARM=PROMPT/COMPLETION[CURRENCY] per million tokens, separated by commas."),
    ] = "",
    policy: Annotated[
        Path | None, typer.Option(help="A TOML file: the margin and the rules of the verdict.")
    ] = None,
    judge_may_be_arm: Annotated[
        bool, typer.Option("--judge-may-be-arm", help="Let it judge answers of its own model.")
    ] = False,
) -> None:
    check_installed()
    evaluation = plan_evaluation(
        Wanted(dataset=dataset, arms=arms, n=n, data=data, folder=out, policy=policy, price=price),
        Options(
            seed=seed,
            repeats=repeats,
            concurrency=1 if serial else concurrency,
            retrieve=retrieve,
            collection=collection,
            floor=floor,
            top_n=top_n,
        ),
    )
    judging = Judging(judge, judge_may_be_arm)
    output = Output.standard()
    failed = call_gateway(lambda client: evaluate(evaluation, client, output, judging))
    raise typer.Exit(1 if failed else 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The questions and the arms as they were typed."""

    dataset: str
    arms: str
    n: str
    data: Path | None
    folder: Path
    policy: Path | None = None
    price: str = ""


@dataclass(frozen=True, slots=True)
class Judging:
    """The judge's entry as it was typed; empty: nobody judges."""

    entry: str = ""
    may_be_arm: bool = False

    def __post_init__(self) -> None:
        if self.may_be_arm and not self.entry:
            raise UsageError("--judge-may-be-arm: name the entry that judges, with --judge")


def plan_evaluation(wanted: Wanted, options: Options, budget: Budget | None = None) -> Evaluation:
    """Read what was typed; with a `budget` for a run that stops by itself. Raises `InvalidRequest` or
    `NotFound` that says what to change."""
    names = [name.strip() for name in wanted.dataset.split(",") if name.strip()]
    arms = plan.parse_arms(wanted.arms)
    policy = None if wanted.policy is None else read_policy(wanted.policy)
    if budget is not None and policy is not None:
        check_can_decide(policy, arms)
    datasets = plan.choose_datasets(names, wanted.n, wanted.data, options.seed)
    prices = parse_prices(wanted.price, (arm.name for arm in arms))
    return Evaluation(datasets, arms, options, wanted.folder, policy, budget, prices)


def check_can_decide(policy: Policy, arms: Sequence[ArmRequest]) -> None:
    """Check that a run of these arms can settle the policy. Raises `InvalidRequest` that says why not."""
    from pipelines.evaluation.swap.criteria import list_criteria  # noqa: PLC0415 - loads scipy

    if len(arms) != 2:
        raise InvalidRequest(
            f"--arms: two arms, the baseline first; these are {len(arms)}: decide on one candidate at a time"
        )
    list_criteria(policy)


def check_installed() -> None:
    """Raises `UsageError` where the extra that scores is not there: better now than in an hour."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: "
            "pip install '.[evaluation]' (in Ragline's checkout)"
        )


async def evaluate(
    evaluation: Evaluation, client: HttpClient, output: Output, judging: Judging | None = None
) -> int:
    """Run it and score it. Returns how many requests failed. Stopped on the way, the same call goes on.

    A judge is asked at the generation service: GENERATION_URL, else the one that runs here.
    """
    stack = local_stack()
    async with HttpClient(
        "generation", stack.url("generation"), headers=stack.headers("generation")
    ) as generation:
        judge = None
        if judging is not None and judging.entry:
            from pipelines.evaluation.runner.judging import JudgeRequest  # noqa: PLC0415 - loads scipy

            judge = JudgeRequest(judging.entry, GenerationClient(generation), judging.may_be_arm)
        with Meter(output) as meter:
            bundle = await run(evaluation, Gateway(client), meter, judge)
    scored = score_bundle(bundle, evaluation.folder, output)
    print_swaps(scored, output)
    failed = print_summary(bundle, evaluation, output, scored.outcomes)
    for sentence in (*scored.warnings, *scored.verdicts):
        output.line(sentence)
    try:
        report(evaluation.folder, output, say_verdict=False)
    except NotSupported as error:
        output.problem(error.message)
    return failed


def score_bundle(bundle: Bundle, folder: Path, output: Output) -> Results:
    """Write the results beside the answers, and return them."""
    from pipelines.evaluation.analysis import compute_results  # noqa: PLC0415 - seconds, which a run that goes on saves
    from pipelines.evaluation.bundle.recorded import write_results  # noqa: PLC0415 - as above

    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        scored = compute_results(bundle)
        write_results(folder, scored)
    return scored


def print_swaps(results: Results, output: Output) -> None:
    """Print each arm's verdict, then what it wins and loses."""
    for swap in results.swaps:
        style = {"yes": "bold green", "no": "bold red", "undecided": "bold yellow"}[swap.answer]
        output.line(swap.sentence, style=style)
        if swap.trade:
            output.line(swap.trade)


def print_summary(
    bundle: Bundle, evaluation: Evaluation, output: Output, outcomes: Sequence[ArmOutcome] | None = None
) -> int:
    """Print what became of each arm, as results and report count it. Returns how many requests failed.

    An answer that declines in words has abstained, whatever its status says. Without `outcomes` they are
    counted here.
    """
    if outcomes is None:
        from pipelines.evaluation.analysis.counts import count_outcomes  # noqa: PLC0415 - loads scipy
        from pipelines.evaluation.analysis.scores import score_answers  # noqa: PLC0415 - as above

        scored = score_answers(bundle)
        outcomes = [
            count_outcomes(arm.name, [answer for answer in scored if answer.answer.arm == arm.name])
            for arm in bundle.manifest.arms
        ]
    rows = [["arm", "asked", "answered", "abstained", "truncated", "failed"]]
    for outcome in outcomes:
        counts = (
            outcome.asked,
            outcome.answered,
            outcome.abstained,
            outcome.truncated,
            sum(outcome.failed.values()),
        )
        rows.append([outcome.arm, *map(str, counts)])
    failed = sum(sum(outcome.failed.values()) for outcome in outcomes)
    failures: dict[str, str] = {}
    for answer in bundle.answers:
        if answer.reply.error is not None:
            failures.setdefault(f"{answer.arm}: {answer.reply.error.code}", answer.reply.error.message)
    output.table(rows)
    for what, message in failures.items():
        output.problem(f"{what}: {message}")
    if any(what.endswith(DeadlineExceeded.code) for what in failures):
        output.problem("a longer DEADLINE_SECONDS, of the gateway and of generation, gives slow models time")
    output.line(f"{len(bundle.questions)} questions, {len(bundle.answers)} answers: {evaluation.folder}")
    if failed:
        output.problem(f"{failed} requests failed; they are in the bundle as such")
    return failed
