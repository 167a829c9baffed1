"""How often the metrics mark an answer otherwise than a person: `make bench-metrics`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from pipelines.evaluation.statistics import proportion_interval
from tests.bench._answers import (
    FOLDER,
    WRITTEN_BLIND,
    MarkedAnswer,
    read_adversarial,
    read_first_look,
    read_recorded,
)

WRITTEN = Path(__file__).parents[2] / "pipelines/evaluation/report/errors.json"


def print_rates(title: str, marked: Sequence[MarkedAnswer]) -> None:
    """Print each metric's error rate on these answers, with Wilson's interval."""
    errors = [answer.errors for answer in marked]
    for metric in ("correct", "abstained"):
        wrong, n = sum(error[metric] for error in errors), len(errors)
        low, high = proportion_interval(wrong, n) or (0.0, 1.0)
        print(f"{title:32} {metric:10} {wrong:4} of {n:4} wrong  {wrong / n:6.1%} [{low:.1%}, {high:.1%}]")


def count_errors(marked: Sequence[MarkedAnswer], metric: str) -> dict[str, int]:
    """Count the answers that a metric marks otherwise than a person."""
    return {"wrong": sum(answer.errors[metric] for answer in marked), "n": len(marked)}


def sum_first_looks(metric: str) -> dict[str, int]:
    """Sum how many hard answers a metric marked wrongly when it first saw them."""
    counts = [read_first_look(name)[metric] for name in WRITTEN_BLIND]
    return {"wrong": sum(wrong for wrong, _ in counts), "n": sum(n for _, n in counts)}


def print_first_looks() -> None:
    """Print the rates at first sight: what is to be expected of answers of a kind that nobody thought of."""
    for name in WRITTEN_BLIND:
        for metric, (wrong, n) in read_first_look(name).items():
            low, high = proportion_interval(wrong, n) or (0.0, 1.0)
            title = f"{name}, at first sight"
            print(
                f"{title:32} {metric:10} {wrong:4} of {n:4} wrong  {wrong / n:6.1%} [{low:.1%}, {high:.1%}]"
            )


def measure_errors() -> dict[str, object]:
    """Measure what the report shows beside the metrics."""
    recorded = list(read_recorded())
    hard = [answer for name in ("adversarial", *WRITTEN_BLIND) for answer in read_adversarial(name)]
    arms = sorted({answer.arm for answer in recorded})
    return {
        "metrics": {
            metric: {
                "recorded": count_errors(recorded, metric),
                "arms": {
                    arm: count_errors([answer for answer in recorded if answer.arm == arm], metric)
                    for arm in arms
                },
                "hard": count_errors(hard, metric),
                "first_look": sum_first_looks(metric),
            }
            for metric in ("correct", "abstained")
        }
    }


def main() -> None:
    """Print the rates; with --show the errors of the half that may be looked at; with --write, for the report."""
    if "--write" in sys.argv:
        WRITTEN.write_bytes(orjson.dumps(measure_errors(), option=orjson.OPT_INDENT_2) + b"\n")
    adversarial = read_adversarial()
    development = [answer for answer in adversarial if not answer.held_out]
    print_rates("adversarial, development", development)
    print_rates("adversarial, held out", [answer for answer in adversarial if answer.held_out])
    print_first_looks()
    hard = list(adversarial)
    for name in WRITTEN_BLIND:
        marked = read_adversarial(name)
        hard += marked
        print_rates(f"{name}, now", marked)
    print_rates("all hard ones", hard)
    for kind in dict.fromkeys(answer.item.kind for answer in hard):
        print_rates(f"  {kind}", [answer for answer in hard if answer.item.kind == kind])
    shown = development
    if (FOLDER / "recorded.jsonl").exists():
        recorded = list(read_recorded())
        print_rates("recorded", recorded)
        for arm in sorted({answer.arm for answer in recorded}):
            print_rates(f"  {arm}", [answer for answer in recorded if answer.arm == arm])
        shown = [*development, *recorded]
    if "--show" in sys.argv:
        for answer in shown:
            wrong = [name for name, error in answer.errors.items() if error]
            if wrong:
                item = answer.item
                print(f"{answer.mark} {'+'.join(wrong):18} {item.kind} {item.answers} {answer.answer!r}")


if __name__ == "__main__":
    main()
