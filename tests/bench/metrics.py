"""How often the metrics mark an answer otherwise than a person: `make bench-metrics`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipelines.evaluation.statistics import proportion_interval
from tests.bench._answers import FOLDER, MarkedAnswer, read_adversarial, read_recorded


def print_rates(title: str, marked: Sequence[MarkedAnswer]) -> None:
    """Print each metric's error rate on these answers, with Wilson's interval."""
    errors = [answer.find_errors() for answer in marked]
    for metric in ("correct", "abstained"):
        wrong, n = sum(error[metric] for error in errors), len(errors)
        low, high = proportion_interval(wrong, n) or (0.0, 1.0)
        print(f"{title:32} {metric:10} {wrong:4} of {n:4} wrong  {wrong / n:6.1%} [{low:.1%}, {high:.1%}]")


def main() -> None:
    """Print the rates; with --show the errors of the half that may be looked at."""
    adversarial = read_adversarial()
    development = [answer for answer in adversarial if not answer.held_out]
    print_rates("adversarial, development", development)
    print_rates("adversarial, held out", [answer for answer in adversarial if answer.held_out])
    for kind in dict.fromkeys(answer.item.kind for answer in adversarial):
        print_rates(f"  {kind}", [answer for answer in adversarial if answer.item.kind == kind])
    shown = development
    if (FOLDER / "recorded.jsonl").exists():
        recorded = list(read_recorded())
        print_rates("recorded", recorded)
        for arm in sorted({answer.arm for answer in recorded}):
            print_rates(f"  {arm}", [answer for answer in recorded if answer.arm == arm])
        shown = [*development, *recorded]
    if "--show" in sys.argv:
        for answer in shown:
            wrong = [name for name, error in answer.find_errors().items() if error]
            if wrong:
                item = answer.item
                print(f"{answer.mark} {'+'.join(wrong):18} {item.kind} {item.answers} {answer.answer!r}")


if __name__ == "__main__":
    main()
