"""Whether a drafted question can be kept. Rules alone: what they cannot see, a person must. Pure."""

from __future__ import annotations

import re
from typing import Literal

from pipelines.evaluation.building.drafts import Draft
from pipelines.evaluation.metrics.numeric import numbers_in
from pipelines.evaluation.metrics.overlap import normalised
from pipelines.sentences import content_words
from services.core.wire.passages import Passage

Reason = Literal[
    "unreadable",
    "not a question",
    "needs the text",
    "answer too long",
    "answer in the question",
    "answer not in the passage",
    "off the passage",
    "not confirmed",
    "nothing to replace",
    "asked already",
]
"""Why a draft was dropped, in the order in which it is looked at."""

WORDS = (4, 40)
"""Least and most words of a question."""
ANSWER_WORDS = 15
ABOUT = 0.5
"""Least share of the question's content words that its passage (or its heading) must have."""

_POINTS = re.compile(
    r"\b(?:the|this|that|given|above|following)\s+(?:\w+\s+)?(?:passage|text|excerpt|document|section|"
    r"paragraph|context|author|table|quiz|example|snippet)\b|\bmentioned\b|\baccording to (?:it|this)\b",
    re.IGNORECASE,
)


def fault(draft: Draft, passage: Passage) -> Reason | None:
    """The first thing that is wrong with a draft; None where nothing is found."""
    return (
        _of_question(draft.question) or _of_answer(draft, passage.text) or _of_both(draft.question, passage)
    )


def _of_question(question: str) -> Reason | None:
    if not question.endswith("?") or not WORDS[0] <= len(question.split()) <= WORDS[1]:
        return "not a question"
    return "needs the text" if _POINTS.search(question) else None


def _of_answer(draft: Draft, text: str) -> Reason | None:
    answered = normalised(draft.answer).split()
    if len(answered) > ANSWER_WORDS:
        return "answer too long"
    if not answered or not supported(draft.answer, text):
        return "answer not in the passage"
    return "answer in the question" if _within(answered, normalised(draft.question).split()) else None


def _of_both(question: str, passage: Passage) -> Reason | None:
    words = content_words(question)
    shared = words & content_words(passage.embedded_text)
    return "off the passage" if len(shared) < ABOUT * len(words) else None


def supported(answer: str, text: str) -> bool:
    """Whether the answer stands in the text: its words in a row, case, punctuation and articles aside, and
    its numbers as numbers ("2.5" is not "25"). An answer that is one number with at most two words beside it
    may stand apart: a number equal to it, and these words."""
    found, there = numbers_in(answer), numbers_in(text)
    if any(number not in there for number in found):
        return False
    words, among = normalised(answer).split(), normalised(text).split()
    beside = {word for word in words if not any(each.isdigit() for each in word)}
    apart = len(found) == 1 and len(beside) <= 2 and beside <= set(among)
    return apart or _within(words, among)


def same(text: str) -> str:
    """Equal for two texts that differ in case, punctuation or articles alone."""
    return normalised(text)


def _within(words: list[str], among: list[str]) -> bool:
    return any(among[at : at + len(words)] == words for at in range(len(among) - len(words) + 1))
