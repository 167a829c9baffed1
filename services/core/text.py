"""One normal form of a text, for everything that compares texts: index, query and embedding. Pure.

What a reader does not see must not decide what is found: a soft hyphen within a word, a zero-width space, a
ligature, one of ten dashes. The normal form is only compared; what is shown is the document as it is.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Soft hyphen, zero-width characters, marks of direction, variation selectors, tags."""

_HYPHENS = re.compile("[\u2010-\u2013\u2043\u2212\ufe63\uff0d]")
"""What is written for a hyphen within a word or a number; a dash between words (\u2014) stays one."""


def normalise(text: str) -> str:
    """Bring a text into its normal form: NFKC, without what is invisible, with one kind of hyphen.

    Case, accents and white space stay, but that every kind of blank is a space. ASCII stays as it is.
    """
    if text.isascii():
        return text
    return _HYPHENS.sub("-", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)))


def locate_normalised(text: str) -> list[int]:
    """Find where in `text` each character of its normal form comes from; a cluster's come from its start.

    Where letters that stand alone are joined to one (Hangul written in parts) places are a little too late.
    """
    places: list[int] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or not unicodedata.combining(text[end]):
            places += [start] * len(normalise(text[start:end]))
            start = end
    return places
