"""`ragline eval`: ask every arm every question, from frozen contexts, into a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.runner import plan
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import Options
from pipelines.evaluation.runner.run import Evaluation, run
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.meter import Meter
from services.cli.reach import stack_here
from services.cli.report import report
from services.core.client import HttpClient
from services.core.clients.generation import GenerationClient
from services.core.errors import DeadlineExceeded, NotSupported

__all__ = ["Judging", "Options", "Wanted", "check_installed", "evaluate", "planned"]

NEEDED = ("numpy", "scipy")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The questions and the arms as they were typed."""

    dataset: str
    arms: str
    n: str
    data: Path | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Judging:
    """The judge's entry as it was typed; empty: nobody judges."""

    entry: str = ""
    may_be_arm: bool = False

    def __post_init__(self) -> None:
        if self.may_be_arm and not self.entry:
            raise UsageError("--judge-may-be-arm: name the entry that judges, with --judge")


def planned(wanted: Wanted, options: Options) -> Evaluation:
    """What that comes to. Raises `InvalidRequest` or `NotFound` that says what to change."""
    names = [name.strip() for name in wanted.dataset.split(",") if name.strip()]
    arms = plan.arms(wanted.arms)
    return Evaluation(plan.chosen(names, wanted.n, wanted.data, options.seed), arms, options, wanted.folder)


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
    """How many requests failed. The bundle is finished then; stopped before, the same call goes on.

    A judge is asked at the generation service: GENERATION_URL, else the one that runs here.
    """
    async with HttpClient("generation", stack_here().url("generation")) as generation:
        judge = None
        if judging is not None and judging.entry:
            from pipelines.evaluation.runner.judging import Wanted as Judge  # noqa: PLC0415 - loads scipy

            judge = Judge(judging.entry, GenerationClient(generation), judging.may_be_arm)
        with Meter(output) as meter:
            bundle = await run(evaluation, Gateway(client), meter, judge)
    failed = summary(bundle, evaluation, output)
    score(bundle, evaluation.folder, output)
    try:
        report(evaluation.folder, output)
    except NotSupported as error:
        output.problem(error.message)
    return failed


def score(bundle: Bundle, folder: Path, output: Output) -> None:
    """Write what the answers come to beside them, and say it."""
    from pipelines.evaluation.analysis import compute_results  # noqa: PLC0415 - seconds, which a run that goes on saves
    from pipelines.evaluation.bundle.recorded import write_results  # noqa: PLC0415 - as above

    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        found = compute_results(bundle)
        write_results(folder, found)
    for sentence in (*found.warnings, *found.verdicts):
        output.line(sentence)


def summary(bundle: Bundle, evaluation: Evaluation, output: Output) -> int:
    """Say what became of each arm; how many requests failed."""
    rows = [["arm", "asked", "answered", "abstained", "truncated", "failed"]]
    failures: dict[str, str] = {}
    failed = 0
    for arm in bundle.manifest.arms:
        replies = [answer.reply for answer in bundle.answers if answer.arm == arm.name]
        count = {status: sum(reply.status == status for reply in replies) for status in _STATUSES}
        rows.append([arm.name, str(len(replies)), *(str(count[status]) for status in _STATUSES)])
        failed += count["failed"]
        for reply in replies:
            if reply.error is not None:
                failures.setdefault(f"{arm.name}: {reply.error.code}", reply.error.message)
    output.table(rows)
    for what, message in failures.items():
        output.problem(f"{what}: {message}")
    if any(what.endswith(DeadlineExceeded.code) for what in failures):
        output.problem("a longer DEADLINE_SECONDS, of the gateway and of generation, gives slow models time")
    output.line(f"{len(bundle.questions)} questions, {len(bundle.answers)} answers: {evaluation.folder}")
    if failed:
        output.problem(f"{failed} requests failed; they are in the bundle as such")
    return failed


_STATUSES = ("answered", "abstained", "reasoning_truncated", "failed")
