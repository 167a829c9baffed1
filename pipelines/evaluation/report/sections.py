"""The sections of a report that are words: what a judge's verdicts are worth, how it was made, its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.evaluation.bundle.records import Bundle, Machine, Manifest
from pipelines.evaluation.grounding.calibration import calibration_id
from pipelines.evaluation.report.units import (
    MINUS,
    NOTHING,
    format_interval,
    format_p,
    format_points,
    format_share,
)
from pipelines.evaluation.results import OVERALL, Counted, JudgedArm, JudgeResult, Results

GIB = 2**30
Rows = tuple[tuple[str, str], ...]
SMALL = 100
"""Questions below which a set shows large differences only."""


@dataclass(frozen=True, slots=True)
class JudgeFigure:
    """A figure that says what a judge is worth, ready to read.

    It is `value` with its interval, over `n`; `kappa` is empty where it has none.
    """

    name: str
    value: str
    spread: str
    n: str
    kappa: str
    meaning: str


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """How an arm fares against the baseline with a judge, ready to read."""

    arm: str
    counts: str
    """Won, tied and lost."""
    difference: str
    spread: str
    p: str
    n: str
    smallest: str
    verdict: str


@dataclass(frozen=True, slots=True)
class JudgeSection:
    """A judge's verdicts by arm, and the figures that say what they are worth."""

    worth: tuple[JudgeFigure, ...]
    arms: tuple[PreferenceRow, ...]


def describe_judge(judge: JudgeResult | None) -> JudgeSection | None:
    """Make a judge's section; None where nobody judged."""
    if judge is None:
        return None
    return JudgeSection(
        worth=(
            _judge_figure(
                "changes with the order",
                judge.flips,
                "pairs whose winner is another when the two answers change places; these count as ties",
                judge.kappa,
            ),
            _judge_figure(
                "takes the one shown first",
                judge.first_shown,
                "verdicts for the answer that stood first, ties left out; one half is no bias",
            ),
            _judge_figure(
                "says nothing that can be read", judge.unread, "replies without a verdict; none is guessed at"
            ),
            _judge_figure(
                "takes the right one",
                judge.with_correct,
                "pairs in which its winner is the one that is right (neither: a tie)",
                judge.kappa_correct,
            ),
            _judge_figure(
                "takes the better supported one",
                judge.with_supported,
                "pairs in which its winner has the greater share of supported claims (neither: a tie)",
                judge.kappa_supported,
            ),
        ),
        arms=tuple(map(_preference_row, judge.arms)),
    )


def _judge_figure(name: str, counted: Counted, meaning: str, kappa: float | None = None) -> JudgeFigure:
    return JudgeFigure(
        name=name,
        value=format_share(counted.count / counted.n if counted.n else None),
        spread=format_interval(counted.low, counted.high, ""),
        n=str(counted.n),
        kappa=NOTHING if kappa is None else f"{kappa:.2f}".replace("-", MINUS),
        meaning=meaning,
    )


def _preference_row(judged: JudgedArm) -> PreferenceRow:
    return PreferenceRow(
        arm=judged.arm,
        counts=f"{judged.won} / {judged.tied + judged.alike} / {judged.lost}",
        difference=format_points(judged.difference),
        spread=format_interval(judged.low, judged.high, "", signed=True),
        p=NOTHING if judged.p_report is None else format_p(judged.p_report),
        n=str(judged.n),
        smallest="nothing"
        if judged.smallest_detectable is None
        else format_points(judged.smallest_detectable, signed=False),
        verdict="" if judged.better is None else "better" if judged.better else "worse",
    )


def condition_rows(manifest: Manifest) -> Rows:
    """How the run was made, and what keeps arms from profiting from each other, as rows of name and value."""
    return tuple(_condition_rows(manifest))


def _condition_rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    conditions = manifest.conditions
    yield "Started", manifest.started
    yield "Ragline", manifest.version
    yield "Seed", str(conditions.seed)
    yield "Repeats", str(conditions.repeats)
    yield (
        "Requests at once",
        "one: arms never share the machine" if conditions.serial else f"up to {conditions.concurrency}",
    )
    yield "Caches", conditions.caches
    yield "Prompts begin alike", "no: a line of its own each" if conditions.cold else "yes"
    yield "Warm-up", f"{conditions.warm_up} requests of each arm, not counted"
    for name, value in (
        ("top_k", conditions.top_k),
        ("top_n", conditions.top_n),
        ("floor", conditions.floor),
    ):
        yield f"Retrieval {name}", "the gateway's" if value is None else f"{value:g}"
    if (judge := manifest.judge) is not None:
        most = "the entry's" if judge.max_tokens is None else str(judge.max_tokens)
        yield "Judge", f"{judge.model.id} ({judge.model.model_id}), {most} tokens at most"
    yield "Machine", format_machine(manifest.machine)


def format_machine(machine: Machine) -> str:
    """A machine in one line."""
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory / GIB:.0f} GiB, {machine.system}, "
        f"Python {machine.python}"
    )


def list_limits(bundle: Bundle, results: Results) -> tuple[str, ...]:
    """What the report does not show, in sentences; those that hold for every run come last."""
    return (*_limits_of_this_run(bundle, results), *_limits_of_every_run(bundle))


def _limits_of_this_run(bundle: Bundle, results: Results) -> Iterator[str]:
    conditions = bundle.manifest.conditions
    sampled = [dataset for dataset in bundle.manifest.datasets if dataset.n < dataset.of]
    if sampled:
        shares = ", ".join(f"{dataset.n} of {dataset.of} of {dataset.name}" for dataset in sampled)
        yield (
            f"The questions are a sample ({shares}; seed {conditions.seed}): the figures stand for a whole "
            "set only within their intervals."
        )
    small = [f"{dataset.name} ({dataset.n})" for dataset in bundle.manifest.datasets if dataset.n < SMALL]
    if small:
        yield (
            f"Sets of fewer than {SMALL} questions show large differences only, and their types of question "
            f"none but very large ones: {', '.join(small)}."
        )
    for dataset in bundle.manifest.datasets:
        if dataset.grounds == "none":
            yield f"{dataset.name} was asked without passages: it says nothing of grounded answers."
        if dataset.grounds == "given":
            yield f"The passages of {dataset.name} came with its questions: no search was tested on it."
    clustered = any(
        delta.clusters < delta.n
        for measured in results.metrics
        if measured.scope == OVERALL
        for delta in measured.deltas
    )
    if not clustered:
        yield (
            "No questions share a group, so all were taken for independent. Where several are on one "
            "document, the intervals are too narrow."
        )
    if conditions.repeats == 1:
        yield (
            "Every question was asked once of each arm: chance in the sampling of tokens and difference "
            "between questions are not told apart."
        )
    if not conditions.serial and conditions.concurrency > 1:
        yield (
            f"Up to {conditions.concurrency} requests were under way at once, so an arm's latency contains "
            "its wait for others."
        )
    if results.judge is not None:
        yield (
            "A judge's preference is a model's opinion, not correctness: read it beside how often it changes "
            "with the order and how often it takes the right answer."
        )
    if not conditions.cold:
        yield "Prefix caches were not kept apart: an arm may look faster than it is, coming after another."


def _limits_of_every_run(bundle: Bundle) -> Iterator[str]:
    machine = bundle.manifest.machine
    yield (
        f"Latencies hold for this machine ({machine.processor}, {machine.cores} cores), these engines and "
        "this load, and for no other."
    )
    yield "A right answer may rest on nothing: correctness knows no passages, groundedness and citations do."
    recorded = {
        answer.reply.groundedness.calibration for answer in bundle.answers if answer.reply.groundedness
    }
    if recorded - {"detector"}:
        yield (
            f"Groundedness is what the scorer {calibration_id()} makes of words; docs/grounding.md "
            "says how often people say otherwise."
        )
    yield (
        "Answers are read by patterns (a number, an option, words of a reference, a refusal). Unusual "
        "wording is misread now and then, in every arm."
    )
    yield "No detectable difference does not mean no difference: see the smallest detectable one."
    yield "Public questions may have been in a model's training."
    yield (
        "Thinking tokens against correctness is an observation, not an effect: harder questions make a model "
        "think longer."
    )
