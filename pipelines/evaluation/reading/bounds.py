"""Tells whether a number is a bound or one end of a range: "at least 4", "more than 12", "40 to 45". Pure."""

from __future__ import annotations

import re

from pipelines.evaluation.reading.denials import is_open

BOUND_BEFORE = re.compile(
    r"\b(?:at\s+least|at\s+most|(?:no\s+|not\s+)?(?:more(?:\s+\w+)?|less(?:\s+\w+)?|(?!(?:rath|oth)er)\w{2,}er)\s+than|over|under|"
    r"above|below|up\s+to|nearly|almost|close\s+to|minimum\s+of|maximum\s+of|before|after|since|until|plus|mindestens|"
    r"h\u00f6chstens|\u00fcber|unter|au\s+moins|plus\s+de|moins\s+de|between|[<>\u2264\u2265])\s*(?:the\s+|about\s+|a\s+)?"
    r"(?:[$€£]\s?)?$",
    re.IGNORECASE,
)
_BOUND_AFTER = re.compile(
    r"^\s*(?:[^\W\d]+\s+)?(?:or|and)\s+(?:more|less|fewer|above|over|below|up|higher)\b|^\s?\+(?!\s?\d)",
    re.IGNORECASE,
)
_RANGE_AFTER = re.compile(
    r"^(?:\s*[^\W\d]*\s*(?:to|and|bis|\u00e0)\s+|-)(?:[$€£]\s?)?-?(\d[\d.]*)", re.IGNORECASE
)
_RANGE_BEFORE = re.compile(
    r"(?:(?:\b(?:from|between)\b[^.;]*|[\d€$%]\s*)\b(?:to|and|bis|\u00e0)\s+|\d-)(?:about\s+)?(?:[$€£]\s?)?-?$",
    re.IGNORECASE,
)


def is_bound(text: str, start: int, end: int) -> bool:
    """Tell whether the number at a place of a text is a bound: "at least 4", "4 or more"."""
    return BOUND_BEFORE.search(text[:start]) is not None or _BOUND_AFTER.match(text[end:]) is not None


def is_settled(text: str, start: int, number_end: int, end: int) -> bool:
    """Tell whether a number is the one that is meant: no bound, no end of a range, not one of several.

    Args:
        text: The text, its numbers written in one way.
        start: Where the number begins.
        number_end: Where it ends, without its unit.
        end: Where its unit ends.
    """
    before, after = text[:start], text[number_end:]
    if is_bound(text, start, number_end) or _BOUND_AFTER.match(text[end:]):
        return False
    following = _RANGE_AFTER.match(after)
    if following is not None and "=" not in text:
        joined = (
            after.lstrip()[:1] == "-" or re.match(r"\s*[^\W\d]*\s*(?:to|bis|\u00e0)\s", after) is not None
        )
        if joined or re.search(r"\bbetween\b", before):
            return False
    if "=" not in text and _RANGE_BEFORE.search(before):
        return False
    return not is_open(text, start, number_end, unit=True)
