"""What a report does not show, said of this very run."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.results import OVERALL, Results

SMALL = 100


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
