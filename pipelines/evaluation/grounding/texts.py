"""What of a claim and of its passages is read: no citation marks, no addresses. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.citations import unmarked
from pipelines.sentences import Span, sentences

_ADDRESS = re.compile(r"(?:\[\d+\]\s*)?(?:https?://|www\.)\S+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Read:
    """A sentence of the passage of that number; `text` is the span's without addresses."""

    passage: int
    span: Span
    text: str


def plain(claim: str) -> str:
    """A claim without its citation marks: their numbers are no figures of it."""
    return " ".join(unmarked(claim).split())


def read(passages: Sequence[str]) -> list[Read]:
    """The sentences of all passages, without those that are an address and nothing else: what stands there
    is not known."""
    found = [
        Read(number, span, _ADDRESS.sub(" ", span.text).strip())
        for number, passage in enumerate(passages)
        for span in sentences(passage)
    ]
    return [each for each in found if _WORD.search(each.text)]


def unread(passages: Sequence[str]) -> bool:
    """Whether the passages say something that cannot be read: addresses alone."""
    return any(_ADDRESS.search(passage) for passage in passages) and not read(passages)
