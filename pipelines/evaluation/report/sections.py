"""The sections of a report that are words: what a judge's verdicts are worth, how it was made, its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.evaluation.bundle.records import Bundle, Machine, Manifest
from pipelines.evaluation.report.units import NOTHING, interval, p_value, points, share
from pipelines.evaluation.results import OVERALL, Counted, JudgedArm, JudgeResult, Results

GIB = 2**30
Rows = tuple[tuple[str, str], ...]

SMALL = 100


@dataclass(frozen=True, slots=True)
class Worth:
    """One figure: `value` with its interval, over `n`; `kappa` empty where it has none."""

    name: str
    value: str
    spread: str
    n: str
    kappa: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Preferred:
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
class Judging:
    worth: tuple[Worth, ...]
    arms: tuple[Preferred, ...]


def judging(found: JudgeResult | None) -> Judging | None:
    if found is None:
        return None
    return Judging(
        worth=(
            _worth(
                "changes with the order",
                found.flips,
                "pairs whose winner is another when the two answers change places; these count as ties",
                found.kappa,
            ),
            _worth(
                "takes the one shown first",
                found.first_shown,
                "verdicts for the answer that stood first, ties left out; one half is no bias",
            ),
            _worth(
                "says nothing that can be read", found.unread, "replies without a verdict; none is guessed at"
            ),
            _worth(
                "takes the right one",
                found.with_correct,
                "pairs in which its winner is the one that is right (neither: a tie)",
                found.kappa_correct,
            ),
            _worth(
                "takes the better supported one",
                found.with_supported,
                "pairs in which its winner has the greater share of supported claims (neither: a tie)",
                found.kappa_supported,
            ),
        ),
        arms=tuple(map(_preferred, found.arms)),
    )


def _worth(name: str, of: Counted, meaning: str, kappa: float | None = None) -> Worth:
    return Worth(
        name=name,
        value=share(of.count / of.n if of.n else None),
        spread=interval(of.low, of.high, ""),
        n=str(of.n),
        kappa=NOTHING if kappa is None else f"{kappa:.2f}".replace("-", "\N{MINUS SIGN}"),
        meaning=meaning,
    )


def _preferred(found: JudgedArm) -> Preferred:
    return Preferred(
        arm=found.arm,
        counts=f"{found.won} / {found.tied + found.alike} / {found.lost}",
        difference=points(found.difference),
        spread=interval(found.low, found.high, "", signed=True),
        p=NOTHING if found.p_adjusted is None else p_value(found.p_adjusted),
        n=str(found.n),
        smallest=points(found.smallest_detectable, signed=False),
        verdict="" if found.better is None else "better" if found.better else "worse",
    )


def conditions(manifest: Manifest) -> Rows:
    """What was done, and what keeps arms from profiting of each other."""
    return tuple(_conditions(manifest))


def _conditions(manifest: Manifest) -> Iterator[tuple[str, str]]:
    asked = manifest.conditions
    yield "Started", manifest.started
    yield "Ragline", manifest.version
    yield "Seed", str(asked.seed)
    yield "Repeats", str(asked.repeats)
    yield (
        "Requests at once",
        "one: arms never share the machine" if asked.serial else f"up to {asked.concurrency}",
    )
    yield "Caches", asked.caches
    yield "Prompts begin alike", "no: a line of its own each" if asked.cold else "yes"
    yield "Warm-up", f"{asked.warm_up} requests of each arm, not counted"
    for name, value in (("top_k", asked.top_k), ("top_n", asked.top_n), ("floor", asked.floor)):
        yield f"Retrieval {name}", "the gateway's" if value is None else f"{value:g}"
    if (judge := manifest.judge) is not None:
        most = "the entry's" if judge.max_tokens is None else str(judge.max_tokens)
        yield "Judge", f"{judge.model.id} ({judge.model.model_id}), {most} tokens at most"
    yield "Machine", machine(manifest.machine)


def machine(found: Machine) -> str:
    return (
        f"{found.processor}, {found.cores} cores, {found.memory / GIB:.0f} GiB, {found.system}, "
        f"Python {found.python}"
    )


def limits(bundle: Bundle, results: Results) -> tuple[str, ...]:
    """Sentences; the ones that hold for every run last."""
    return (*_of_this_run(bundle, results), *_of_every_run(bundle))


def _of_this_run(bundle: Bundle, results: Results) -> Iterator[str]:
    conditions = bundle.manifest.conditions
    drawn = [each for each in bundle.manifest.datasets if each.n < each.of]
    if drawn:
        shares = ", ".join(f"{each.n} of {each.of} of {each.name}" for each in drawn)
        yield (
            f"The questions are a sample ({shares}; seed {conditions.seed}): the figures stand for a whole "
            "set only within their intervals."
        )
    small = [f"{each.name} ({each.n})" for each in bundle.manifest.datasets if each.n < SMALL]
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
        delta.clusters < delta.n for each in results.metrics if each.scope == OVERALL for delta in each.deltas
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


def _of_every_run(bundle: Bundle) -> Iterator[str]:
    machine = bundle.manifest.machine
    yield (
        f"Latencies hold for this machine ({machine.processor}, {machine.cores} cores), these engines and "
        "this load, and for no other."
    )
    yield "A right answer may rest on nothing: correctness knows no passages, groundedness and citations do."
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
