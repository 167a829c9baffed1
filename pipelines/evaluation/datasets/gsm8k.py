"""GSM8K: grade-school word problems with a number for an answer. Cobbe et al. (2021), arXiv:2110.14168."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.datasets.files import folder, read_lines
from pipelines.evaluation.datasets.items import Dataset, Item
from services.core.errors import InvalidRequest


def load(variant: str, path: Path | None) -> Dataset:
    """`variant` names the split, "test" by default."""
    split = variant or "test"
    source = folder("gsm8k", path) / f"{split}.jsonl"
    return Dataset(
        name="gsm8k",
        items=tuple(
            Item(
                id=f"gsm8k-{split}-{number}",
                question=row["question"],
                kind="numeric",
                answers=(final_answer(row["answer"]),),
            )
            for number, row in read_lines(source)
        ),
        origin="github.com/openai/grade-school-math",
        licence="MIT",
    )


def final_answer(solution: str) -> str:
    """What follows "####" in a solution. InvalidRequest where nothing does."""
    _, marker, answer = solution.rpartition("####")
    if not marker:
        raise InvalidRequest(f"a GSM8K solution ends in '#### number', this one does not: {solution[-60:]!r}")
    return answer.strip().replace(",", "")
