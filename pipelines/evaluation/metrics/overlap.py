"""Exact match, token F1 and inclusion of a reference: for short answers in words.

Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", and (2018), "Know
What You Don't Know", whose evaluation script these follow. A question without an answer has no references;
the right answer to it is the empty one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipelines.evaluation.reading.text import normalise


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals one of the references after normalisation, else 0."""
    said = normalise(answer)
    return float(any(said == normalise(reference) for reference in references or ("",)))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """The highest F1 between the answer's and a reference's tokens, counted with multiplicity.

    Where one of both is empty it is 1 if both are, else 0 (SQuAD 2.0).
    """
    return max(_f1(normalise(answer).split(), normalise(each).split()) for each in references or ("",))


def _f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))
