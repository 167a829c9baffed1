"""Ragline's own logic set: riddles with a trap, each with a twin of the same surface and another answer.

Whoever answers by the pattern of a known riddle gets one of two twins wrong; whoever reasons gets both
right. It starts from the founding question, of a pound of water, two pounds of bricks, a pound of feathers
and three pounds of air. Every answer is unambiguous and has its reason; most are recomputed by the tests
from `check`.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pipelines.evaluation.datasets.files import read_lines
from pipelines.evaluation.datasets.items import Dataset, Item
from services.core.errors import InvalidRequest


def load(variant: str, path: Path | None) -> Dataset:
    """All of it, or the family that `variant` names ("weights", "altered-classics", ...)."""
    del path  # it is shipped
    rows = [row for _, row in read_lines(Path(str(files("pipelines.evaluation.datasets") / "logic.jsonl")))]
    families = sorted({row["family"].replace(" ", "-") for row in rows})
    if variant and variant not in families:
        raise InvalidRequest(f"the logic set has no family {variant!r}: choose one of {', '.join(families)}")
    return Dataset(
        name="logic",
        items=tuple(
            Item(
                id=row["id"],
                question=row["question"],
                kind=row["kind"],
                answers=(row["answer"],),
                options=tuple(row.get("options", ())),
                group=row["twin"],
                meta={"family": row["family"], "role": row["role"], "why": row["why"]},
            )
            for row in rows
            if variant in {"", row["family"].replace(" ", "-")}
        ),
        twins=True,
        origin="written for Ragline",
        licence="that of Ragline",
    )
