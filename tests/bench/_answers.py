"""Answers that people have marked: read from tests/bench/answers, and marked by the metrics."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import orjson

from pipelines.context import freeze
from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metric import AnswerInContext
from pipelines.evaluation.metrics.abstention import abstained
from pipelines.evaluation.metrics.correct import correct
from services.core.wire.compare import ArmReply

FOLDER = Path(__file__).parent / "answers"
Mark = Literal["+", "-", "~"]


@dataclass(frozen=True)
class MarkedAnswer:
    """An answer with a person's mark: right (+), wrong (-) or declining (~)."""

    item: Item
    answer: str
    mark: Mark
    arm: str = ""
    truncated: bool = False

    @property
    def held_out(self) -> bool:
        """Tell whether the answer is in the half that nobody looks at while the metrics are changed."""
        return hashlib.sha256(f"{self.item.question}\n{self.answer}".encode()).digest()[0] % 2 == 1

    @property
    def is_right(self) -> bool:
        return self.mark == ("+" if self.item.answerable else "~")

    @property
    def is_declining(self) -> bool:
        return self.mark == "~"

    def read(self) -> AnswerInContext:
        """Make what a metric looks at."""
        frozen = freeze([])
        context = Context(question=self.item.id, grounds="none", context=frozen)
        reply = ArmReply(
            arm=self.arm, model="", prompt="plain", status="answered", context_id=frozen.context_id,
            content=self.answer, finish_reason="length" if self.truncated else "stop",
        )  # fmt: skip
        return AnswerInContext(item=self.item, context=context, reply=reply)

    @cached_property
    def errors(self) -> dict[str, bool]:
        """Tell for each metric whether it marks this answer otherwise than the person did."""
        answer = self.read()
        return {
            "correct": (correct(answer) == 1.0) != self.is_right,
            "abstained": (abstained(answer) == 1.0) != self.is_declining,
        }


WRITTEN_BLIND = ("fresh", "third", "fourth", "fifth", "sixth")
"""Sets that were written and marked before any metric read them; their first lines keep what came of that."""
_FIRST_LOOK = re.compile(r"^; first look: correct (\d+), abstained (\d+), of (\d+)$", re.MULTILINE)


def read_first_look(name: str) -> dict[str, tuple[int, int]]:
    """Read how many answers of a set each metric marked wrongly when it first saw them, and of how many.

    The readers were changed for these answers afterwards: this is the rate for answers that nobody thought of.
    """
    found = _FIRST_LOOK.search((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{name}.txt says no first look")
    correct, abstained, n = map(int, found.groups())
    return {"correct": (correct, n), "abstained": (abstained, n)}


def read_adversarial(name: str = "adversarial") -> list[MarkedAnswer]:
    """Read the answers that were written to be hard to mark: `adversarial`, or one of `WRITTEN_BLIND`."""
    marked: list[MarkedAnswer] = []
    item: Item | None = None
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        mark, _, text = line.partition(" ")
        if mark == "#":
            item = _read_item(text, f"{name}-{len(marked)}")
        elif mark in {"+", "-", "~"}:
            assert item is not None, line
            marked.append(MarkedAnswer(item, text.replace("⏎", "\n"), mark))  # type: ignore[arg-type]
        elif line.strip() and mark != ";":
            raise ValueError(line)
    return marked


def _read_item(text: str, name: str) -> Item:
    kind, references, options, question = map(str.strip, re.split(r"(?<!\|)\|(?!\|)", text))
    return Item(
        id=name,
        question=question,
        kind=kind if references else "abstain",  # type: ignore[arg-type]
        answers=tuple(part.strip() for part in references.split("||") if part.strip()),
        options=tuple(part.strip() for part in options.split(";") if part.strip()),
        answerable=bool(references),
    )


def read_recorded() -> Iterator[MarkedAnswer]:
    """Read the answers that models gave, and that people marked."""
    for line in (FOLDER / "recorded.jsonl").read_bytes().splitlines():
        raw = orjson.loads(line)
        yield MarkedAnswer(
            Item.model_validate(raw["item"]), raw["answer"], raw["mark"], raw["arm"], raw["truncated"]
        )
