"""People's marks of a bundle's answers: appended one by one, each bound to the answer that it is of.

They are no part of the bundle's fingerprint, so that the run stays the one that was recorded; they have a
hash of their own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipelines.evaluation.bundle.files import Journal, encode_line, read_lines
from pipelines.evaluation.bundle.records import Answer, Bundle, Label
from services.core.errors import InvalidRequest

LABELS = "labels.jsonl"
Aspect = Literal["correct", "supported"]


def read_labels(folder: Path) -> tuple[Label, ...]:
    """Read the marks in a folder, in the order in which they were made; none where there are none.

    Raises:
        InvalidRequest: A line is no mark.
    """
    path = folder / LABELS
    return read_lines(path, Label) if path.exists() else ()


def open_labels(folder: Path) -> Journal:
    """The file of marks, to append to."""
    return Journal(folder / LABELS)


def hash_answer(answer: Answer) -> str:
    """Compute the SHA-256 of an answer's text, in hex."""
    return hashlib.sha256(answer.reply.content.encode()).hexdigest()


def hash_labels(labels: Sequence[Label]) -> str:
    """Compute the SHA-256 over marks in their order, in hex."""
    return hashlib.sha256(b"".join(map(encode_line, labels))).hexdigest()


def find_marks(bundle: Bundle, labels: Sequence[Label]) -> dict[tuple[str, str, int], dict[Aspect, float]]:
    """The marks by answer: 1 right or supported, 0 not; the last one of an answer holds. What was marked
    "unsure" has none, nor have answers that are not in the bundle (any more).

    Raises:
        InvalidRequest: An answer is not the one that was marked.
    """
    answers = {answer.key: answer for answer in bundle.answers}
    marks: dict[tuple[str, str, int], dict[Aspect, float]] = {}
    for label in labels:
        answer = answers.get(label.key)
        if answer is None:
            continue
        if label.answer != hash_answer(answer):
            raise InvalidRequest(
                f"{label.arm}'s answer to {label.question!r} is not the one that was marked: the answers "
                f"were changed; take {LABELS} out of the folder, or the answers as they were recorded"
            )
        own = marks.setdefault(label.key, {})
        own.pop(label.aspect, None)
        if label.mark != "unsure":
            own[label.aspect] = float(label.mark == "yes")
    return marks


def order_answers(bundle: Bundle) -> list[Answer]:
    """Put the answers that can be marked in random order, all arms' to one question one after the other, in
    an order that does not tell the arm. The same bundle gives the same order. Pure."""
    seed = bundle.manifest.conditions.seed
    generator = random.Random(f"labels:{seed}")
    by_question: dict[str, list[Answer]] = {question.id: [] for question in bundle.questions}
    for answer in bundle.answers:
        if answer.repeat == 0 and answer.reply.status != "failed" and answer.reply.content.strip():
            by_question[answer.question].append(answer)
    names = generator.sample(list(by_question), len(by_question))
    return [
        answer for name in names for answer in generator.sample(by_question[name], len(by_question[name]))
    ]
