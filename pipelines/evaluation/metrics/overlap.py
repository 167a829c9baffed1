"""Exact match, token F1 and inclusion of a reference: for short answers in words.

Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", and (2018), "Know
What You Don't Know", whose evaluation script these follow. A question without an answer has no references;
the right answer to it is the empty one.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and surplus white space, in SQuAD's order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals one of the references after normalisation, else 0."""
    said = normalised(answer)
    return float(any(said == normalised(reference) for reference in references or ("",)))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """The highest F1 between the answer's and a reference's tokens, counted with multiplicity.

    Where one of both is empty it is 1 if both are, else 0 (SQuAD 2.0).
    """
    return max(_f1(normalised(answer).split(), normalised(each).split()) for each in references or ("",))


def inclusion(answer: str, references: Sequence[str]) -> float:
    """1 where a reference's tokens stand in the answer in a row, else 0: the accuracy of RGB.

    Chen et al. (2024), "Benchmarking Large Language Models in Retrieval-Augmented Generation", AAAI. It
    forgives a whole sentence around the answer, and also an answer that names every possibility: read it
    with the length.
    """
    said = f" {normalised(answer)} "
    known = [normalised(reference) for reference in references]
    if not any(known):
        return float(not said.strip())
    return float(any(f" {reference} " in said for reference in known if reference))


def _f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))
