"""Mark answers of a run yourself, blind and in random order.

Each question is shown with its reference and its passages, then the answers, without their arms and without
what the scorer makes of them. Keys: y right, n wrong, u unsure; then whether the passages support it: y, n,
u. b goes back by one, q ends; the same command goes on. From 30 marks of an arm on the results have its rates
as people would mark them, and how often the scorer is wrong on this very run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import click
import typer

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.files import Journal, drop_torn_line
from pipelines.evaluation.bundle.labels import (
    LABELS,
    Aspect,
    find_marks,
    hash_answer,
    open_labels,
    order_answers,
)
from pipelines.evaluation.bundle.recorded import write_results
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, Label, RunQuestion
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from pipelines.evaluation.labelled import LabelledEstimate, LabelResult
from pipelines.evaluation.reading.text import strip_reasoning
from services.cli.commands.report import report
from services.cli.console import Output
from services.core.errors import NotSupported

PANEL = "Measure"
REPORT = "report.html"
MARKS = {"y": "yes", "n": "no", "u": "unsure"}
ASKED: dict[Aspect, str] = {
    "correct": "right? [y/n/u, b back, q quit] ",
    "supported": "do the passages support all of it? [y/n/u, b back, q quit] ",
}
Read = Callable[[], str]
"""Reads one key."""


def command(bundle: Annotated[Path, typer.Argument(help="The folder of a run.")]) -> None:
    output = Output.standard()
    with BundleStore(bundle).lock():
        made = label(bundle, output, _read_key)
    if made:
        renew_results(bundle, output)


@dataclass(frozen=True, slots=True)
class Task:
    """One mark to make."""

    answer: Answer
    question: RunQuestion
    context: Context
    aspect: Aspect


def label(folder: Path, output: Output, read: Read) -> int:
    """Ask for marks until all are made or the reader ends. Each is on the disk before the next is asked for.

    Args:
        folder: The run's.
        output: Where answers are shown.
        read: Reads one key.

    Returns:
        How many marks were made.

    Raises:
        NotFound: The folder holds no bundle.
        InvalidRequest: It is damaged, or its answers are not those that were marked before.
    """
    drop_torn_line(folder / LABELS)
    bundle = read_bundle(folder)
    find_marks(bundle, bundle.labels)
    done = {(*mark.key, mark.aspect) for mark in bundle.labels}
    tasks = list(list_tasks(bundle))
    place = next(
        (number for number, task in enumerate(tasks) if (*task.answer.key, task.aspect) not in done),
        len(tasks),
    )
    if place == len(tasks):
        output.line("every answer is marked")
        return 0
    output.line(f"{place} of {len(tasks)} marks are made; q ends, the same command goes on")
    made, shown = 0, ""
    with open_labels(folder) as journal:
        while place < len(tasks):
            task = tasks[place]
            if task.question.id != shown:
                show_question(task, output)
                shown = task.question.id
            if task.aspect == "correct" or place == 0 or tasks[place - 1].answer.key != task.answer.key:
                output.line(f"\nanswer: {strip_reasoning(task.answer.reply.content)}", style="bold")
            key = _ask(task.aspect, output, read)
            if key == "q":
                break
            if key == "b":
                place = max(0, place - 1)
                continue
            _write(journal, task, key)
            made += 1
            place += 1
    output.line(f"\n{made} marks made, {len(tasks) - place} left")
    return made


def list_tasks(bundle: Bundle) -> Iterator[Task]:
    """List the marks to make: whether an answer is right where that is known of the question, and whether its
    passages support it where it had some."""
    questions = {question.id: question for question in bundle.questions}
    contexts = {context.question: context for context in bundle.contexts}
    for answer in order_answers(bundle):
        question, context = questions[answer.question], contexts[answer.question]
        if question.item.answers or not question.item.answerable:
            yield Task(answer, question, context, "correct")
        if context.context.passages:
            yield Task(answer, question, context, "supported")


def show_question(task: Task, output: Output) -> None:
    """Show a question with its reference and its passages."""
    item = task.question.item
    output.line(f"\n{'-' * 40}\n{item.prompt}")
    for number, passage in enumerate(task.context.context.passages, start=1):
        output.line(f"[{number}] {passage.text}", style="dim")
    reference = " | ".join(item.answers) if item.answerable else "has no answer: right is to say so"
    output.line(f"reference: {reference or 'none'}")


def _ask(aspect: Aspect, output: Output, read: Read) -> str:
    while True:
        output.piece(ASKED[aspect])
        key = read().lower()
        output.line(key)
        if key in {*MARKS, "b", "q"}:
            return key


def _write(journal: Journal, task: Task, key: str) -> None:
    journal.append(
        Label.model_validate(
            {
                "question": task.answer.question,
                "arm": task.answer.arm,
                "repeat": task.answer.repeat,
                "aspect": task.aspect,
                "mark": MARKS[key],
                "answer": hash_answer(task.answer),
                "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            }
        )
    )


def _read_key() -> str:
    """Read a key, or from a pipe a character; the end of the input, and Ctrl-C, end the session."""
    if not sys.stdin.isatty():
        return next((key for key in iter(lambda: sys.stdin.read(1), "") if not key.isspace()), "q")
    try:
        return click.getchar()
    except (EOFError, KeyboardInterrupt):
        return "q"


def renew_results(folder: Path, output: Output) -> None:
    """Score the run with its marks, write results and report anew, and say what the marks show."""
    bundle = read_bundle(folder)
    with output.spinner("scoring"):
        results = compute_results(bundle)
        write_results(folder, results)
    if results.labels is not None:
        for sentence in describe_labels(results.labels):
            output.line(sentence)
    if (folder / REPORT).exists():
        try:
            report(folder, output, say_verdict=False)
        except NotSupported as error:
            output.problem(error.message)


def describe_labels(labels: LabelResult) -> Iterator[str]:
    """Say what marks show, in sentences."""
    for error in labels.errors:
        spread = "" if error.low is None or error.high is None else f" ({error.low:.0%} to {error.high:.0%})"
        yield f"{error.metric}, {error.arm}: the scorer is wrong on {error.wrong} of {error.n}{spread}"
    for estimate in labels.estimates:
        yield _describe_estimate(estimate)
    if not labels.estimates:
        yield f"estimates need {labels.needed} marks of an arm: {labels.marked} answers are marked"


def _describe_estimate(estimate: LabelledEstimate) -> str:
    facts = f"{estimate.labelled} of {estimate.n} marked"
    low, high = 100 * estimate.low, 100 * estimate.high
    if estimate.against:
        return (
            f"{estimate.metric}, {estimate.arm} against {estimate.against}: "
            f"{100 * estimate.value:+.1f} points ({low:+.1f} to {high:+.1f}), by the scorer alone "
            f"{100 * estimate.scored:+.1f} ({facts})"
        )
    return (
        f"{estimate.metric}, {estimate.arm}: {100 * estimate.value:.1f} % ({low:.1f} to {high:.1f}), by the "
        f"scorer alone {100 * estimate.scored:.1f} % ({facts})"
    )
