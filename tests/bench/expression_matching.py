"""How often the expression match takes an answer that people found faultless for right.

CHAMP's authors marked the first wrong step of model answers. One without any is right, and should match; one with a wrong
step may still come to the right answer, so that its rate is an upper bound of false matches, and a loose one. The
patterns were adjusted on these answers: the rate is how well they can be read, not a forecast for other models.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from pipelines.evaluation.reading.expressions import expression_matches
from pipelines.evaluation.statistics import mean_interval
from tests.bench._report import report


def annotated() -> list[tuple[str, str, str, bool]]:
    """Problem, reference, answer, and whether no step of it is wrong."""
    package = find_spec("champ_dataset")
    if package is None or package.origin is None:
        raise SystemExit("needs the package champ-dataset")
    raw = json.loads((Path(package.origin).parent / "dataset_files" / "v0.json").read_text())
    return [
        (name, problem["_answer"], note["text"], note["start_idx"] is None)
        for name, problem in raw["problems"].items()
        for note in problem["fws_annotations"].values()
    ]


def main() -> None:
    rows: list[dict[str, str | float]] = []
    notes = annotated()
    for faultless, label in ((True, "no wrong step"), (False, "a wrong step")):
        chosen = [note for note in notes if note[3] == faultless]
        matched = [expression_matches(answer, reference) for _, reference, answer, _ in chosen]
        found = mean_interval(matched, [name for name, *_ in chosen])
        rows.append(
            {
                "answers with": label,
                "n": str(len(chosen)),
                "problems": str(found.clusters),
                "matched": found.value,
                "low": found.low if found.low is not None else float("nan"),
                "high": found.high if found.high is not None else float("nan"),
            }
        )
    report("expression_matching", "Expression match against people's marks", rows, n=len(notes))


if __name__ == "__main__":
    main()
