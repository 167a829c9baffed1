"""Sentences and content words, as spans over a text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_BREAK = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n+(?=\s*(?:[-*#>|]|\d+[.)]\s))|\n{2,}")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|Dr|Mr|Mrs|Ms|No|Fig|approx|cf|al)\.|(?:^|\s)[A-Z]\.)$")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)?", re.UNICODE)
_STOP = frozenset(
    """a an and are as at be been but by can could did do does for from had has have he her his how i if in
    into is it its may might more most must no not of on or our she should so some such than that the their
    them then there these they this those to was we were what when where which who why will with would you
    your""".split()  # noqa: SIM905 - eighty lines as a list
)


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` of the text it was cut from."""

    start: int
    end: int
    text: str


def sentences(text: str) -> list[Span]:
    """Split a text into its sentences, without white space between them; list items count as sentences."""
    cuts = [0]
    for match in _BREAK.finditer(text):
        if not _ABBREVIATION.search(text[: match.start()][-12:]):
            cuts.append(match.end())
    cuts.append(len(text))
    spans = []
    for start, end in pairwise(cuts):
        body = text[start:end]
        left = len(body) - len(body.lstrip())
        stripped = body.strip()
        if stripped:
            spans.append(Span(start + left, start + left + len(stripped), stripped))
    return spans


@lru_cache(maxsize=16384)
def content_words(text: str) -> frozenset[str]:
    """Read the words and numbers that carry meaning, in lower case, plurals and common endings cut alike."""
    words = (match.group().lower() for match in _WORD.finditer(text))
    return frozenset(_stem(word) for word in words if word not in _STOP)


@lru_cache(maxsize=16384)
def numbers(text: str) -> frozenset[str]:
    """Read the numbers of a text, thousands separators removed."""
    return frozenset(
        match.group().replace(",", "") for match in _WORD.finditer(text) if match.group()[0].isdigit()
    )


def _stem(word: str) -> str:
    if word[0].isdigit():
        return word.replace(",", "")
    for ending in ("'s", "\u2019s", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
