"""How many words an answer in words shares with a reference.

Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", and (2018), "Know
What You Don't Know", whose evaluation script these follow. A question without an answer has no references;
the right answer to it is the empty one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pipelines.evaluation.metric import REFERENCES, WORDS, AnswerInContext, answer_metric
from pipelines.evaluation.reading.text import find_stated_answer, normalise

_MARKED = re.compile(r"\d+(?:[.:]\d+)+|\b[a-z]\w*(?:\+\+|#)")


def match_exactly(answer: str, references: Sequence[str]) -> float:
    """Return 1 where the answer equals one of the references after normalisation, else 0.

    Normalisation drops all punctuation; marks that make another word count all the same: "1.5" is not "15",
    "C++" is not "C".
    """
    words, marked = normalise(answer), _find_marked_words(answer)
    return float(
        any(
            words == normalise(reference) and marked == _find_marked_words(reference)
            for reference in references or ("",)
        )
    )


def token_f1(answer: str, references: Sequence[str]) -> float:
    """The highest F1 between the answer's and a reference's tokens, counted with multiplicity.

    Where one of both is empty it is 1 if both are, else 0 (SQuAD 2.0).
    """
    words = normalise(answer).split()
    return max(_f1(words, normalise(reference).split()) for reference in references or ("",))


@answer_metric(
    "exact match", family="quality", order=30, higher_is_better=True, source="Rajpurkar et al. 2016",
    items=(REFERENCES, WORDS), zero_if_failed=True,
)  # fmt: skip
def exact_match(answer: AnswerInContext) -> float:
    """The answer equals a reference after SQuAD's normalisation (case, punctuation, articles)."""
    return match_exactly(_short_answer(answer), answer.item.answers)


@answer_metric(
    "token F1", family="quality", order=40, higher_is_better=True, source="Rajpurkar et al. 2016, 2018",
    items=(REFERENCES, WORDS), zero_if_failed=True,
)  # fmt: skip
def token_overlap(answer: AnswerInContext) -> float:
    """2 · shared / (answer + reference tokens), the best over the references."""
    return token_f1(_short_answer(answer), answer.item.answers)


def _short_answer(answer: AnswerInContext) -> str:
    """The stated answer; of an answer that declines the empty one, whatever words it shares."""
    return "" if answer.declined else find_stated_answer(answer.text)


def _find_marked_words(text: str) -> list[str]:
    """Find the words that punctuation tells apart: decimals, versions, times, "C++"."""
    return _MARKED.findall(text.lower())


def _f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))
