"""Missing-premise questions: GSM8K's without a needed premise, and the whole ones; formulas without values.

Fan et al. (2025), "Missing Premise exacerbates Overthinking: Are Reasoning Models losing Critical Thinking
Skill?" Right is to say that something is missing. How long a model thinks before it does is the point of
the set.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.datasets.files import folder, read_json
from pipelines.evaluation.datasets.gsm8k import final_answer
from pipelines.evaluation.datasets.items import Dataset, Item
from services.core.errors import InvalidRequest


def load(variant: str, path: Path | None) -> Dataset:
    """`variant` "gsm8k" (by default: pairs) or "formula" (unanswerable alone)."""
    name = variant or "gsm8k"
    if name not in {"gsm8k", "formula"}:
        raise InvalidRequest(f"mip_overthinking has no part {name!r}: choose gsm8k or formula")
    rows = read_json(folder("mip_overthinking", path) / f"{name}.json")
    items: list[Item] = []
    for number, row in enumerate(rows, start=1):
        pair = f"mip-{name}-{number}"
        items.append(
            Item(
                id=f"{pair}-missing",
                question=row["insufficient_question"],
                kind="abstain",
                group=pair,
                answerable=False,
                meta={"role": "missing"},
            )
        )
        if "question" in row:
            items.append(
                Item(
                    id=f"{pair}-whole",
                    question=row["question"],
                    kind="numeric",
                    answers=(final_answer(row["answer"]),),
                    group=pair,
                    meta={"role": "whole"},
                )
            )
    return Dataset(
        name=f"mip_overthinking:{name}",
        items=tuple(items),
        twins=True,
        origin="github.com/tianyi-lab/MiP-Overthinking",
        licence="MIT",
    )
