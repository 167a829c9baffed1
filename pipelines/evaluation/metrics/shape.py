"""How long answers are, and how often they were cut off. Length alone sways judges: report it beside them."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.evaluation.reading.text import strip_reasoning
from pipelines.sentences import sentences

CUT_OFF = frozenset({"length", "reasoning_truncated"})
"""The finish reasons of an answer that a limit ended: in the answer, or in the thinking before it."""


def answer_words(answer: str) -> int:
    """Words of the answer, reasoning apart."""
    return len(strip_reasoning(answer).split())


def answer_sentences(answer: str) -> int:
    return len(sentences(strip_reasoning(answer)))


def truncated(finish_reason: str | None) -> bool:
    """Whether a limit ended the answer; one without a reason did not end by itself either."""
    return finish_reason is None or finish_reason in CUT_OFF


def truncation_rate(finish_reasons: Sequence[str | None]) -> float | None:
    """The share of answers that a limit ended; None where there are none."""
    return sum(map(truncated, finish_reasons)) / len(finish_reasons) if finish_reasons else None
