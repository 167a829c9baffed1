"""Tells what an answer asserts from what it denies ("not 42 but 43") or leaves open ("3 or 4"). Pure.

By the words right before and after a place in the text: a pattern, not an understanding.
"""

from __future__ import annotations

import re

_FILLERS = (
    r"(?:(?:on|in|at|by)\s+)?(?:[\w$]+\s+(?:or|nor)\s+)?(?:\w+\s+(?=by\s))?(?:(?:the|an?|in|on|at|of|to|by|from|with|for|made|built|painted|really|exactly|be|been|is|was|it|have|"
    r"has|had|finish|take|cost|hold|need|option|choice|answer|answers|before|after|just|der|die|das|le|la|el)\s+){0,4}"
)
_OPENING = r"[\"\u201c'(\[*$\u20ac\u00a3#]*"
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither(?!\s*[:.;,\u2013\u2014])|nor|no\s+longer|cannot\s+be|can't\s+be|(?:any|every)(?:thing|one|body|where)\s+but|every\s+\w+\s+but|(?:day|week|month|year)s?\s+(?:after|before)|all\s+but|rather\s+than|"
    r"instead\s+of|in\s+place\s+of|on\s+behalf\s+of|exclud(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|other\s+than|except(?:\s+for)?|excluding|used\s+to\s+be|formerly|unlike|rul(?:e|ed|es)\s+out|"
    r"nicht|kein\w*|jamais|pas)|n't)\b[\s:,]*(?!only)"
    rf"{_FILLERS}{_OPENING}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"^[\"\u201d')\]*.]*\s*(?:\(\w\)\s*)?(?:apples?\s+)?(?:(?:is|are|was|were|would\s+be|ist|est)\s+(?:\w+ly\s+)?"
    r"(?:wrong|incorrect|false|ruled\s+out|not\s+(?:right|correct|true|the|it|possible)\b)"
    r"|(?:is|are|was|were)n't\s+(?:right|correct|true|the|it|possible)\b"
    r"|would\s+be\s+wrong\b|and\s+is\s+now\b|was\s+the\s+year\s+(?:of|when|in\s+which)\b)",
    re.IGNORECASE,
)
_CONTRASTED = re.compile(
    rf"[,;\u2013\u2014]\s*(?:(?:and|but)\s+)?(?:certainly\s+|definitely\s+|also\s+)?not\s+(?!only\b)(?:(?!but\b|because\b|until\b|that\b)"
    rf"[\w'.]+\s+){{0,3}}{_OPENING}$",
    re.IGNORECASE,
)
_CONTRARY = re.compile(
    r"\b(?:contrary\s+to|unlike|despite|in\s+spite\s+of|as\s+opposed\s+to)\b[^,;.]*$", re.IGNORECASE
)
_FALSE_THAT = re.compile(r"\b(?:false|untrue|not\s+true|wrong)\s+that\b[^.;,]*$", re.IGNORECASE)
_GONE = re.compile(
    r"[;,.]\s*(?:and\s+|but\s+)?(?:today|now|nowadays|currently|at\s+present|these\s+days|since\s+then)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:used\s+to\s+\w+|(?:was|were|had)\s+once|once\s+(?:was|were|had)|formerly|originally|previously|initially|at\s+first)\b",
    re.IGNORECASE,
)
_PAST_AFTER = re.compile(
    r"^[\"\u201d')]*\s*(?:used\s+to|formerly|once|originally|previously|until|till|(?:[^\W\d]+\s+){1,3}(?:once|until\s+\d{4}))\b[^.;]*?"
    r"[;,.]\s*(?:and\s+|but\s+)?(?:\d+\s+since\b|(?:it\s+is\s+|there\s+are\s+)?(?:now|today|nowadays|currently|since)\b)",
    re.IGNORECASE,
)
_TAKEN_FROM = re.compile(
    r"\b(?:took\s+(?:it\s+)?over\s+from|replaced|succeeded|superseded|relieved|inherited\s+it\s+from)\s+(?:the\s+|an?\s+)?$",
    re.IGNORECASE,
)
_OR_AFTER = re.compile(
    r"^[\"\u201d')\]*]*\s*(?:[^\W\d]+\s+)?,?\s*\b(?:or|oder|ou)\s+(?!(?:newer|later|above|higher|so|rather|"
    r"equivalently|approximately|about|thereabouts|exactly|in\s+other|better)\b)\w",
    re.IGNORECASE,
)
_OR_DIRECTLY = re.compile(_OR_AFTER.pattern.replace(r"(?:[^\W\d]+\s+)?", ""), re.IGNORECASE)
_OR_BEFORE = re.compile(
    rf"\b(?:or|oder|ou)\s+(?:(?:the|an?|in|at|about|early|late|mid|maybe|possibly|perhaps|even)\s+){{0,2}}{_OPENING}$",
    re.IGNORECASE,
)


def is_denied(text: str, start: int, end: int) -> bool:
    """Tell whether what stands at a place of a text is denied there."""
    before, after = text[:start].replace("\u2019", "'"), text[end:].replace("\u2019", "'")
    if (
        _FALSE_THAT.search(before[-60:])
        or _CONTRARY.search(before[-80:])
        or _CONTRASTED.search(before[-80:])
        or _DENIED_BEFORE.search(before[-80:])
        or _DENIED_AFTER.match(after[:60])
    ):
        return True
    if _PAST_AFTER.match(after) is not None or _TAKEN_FROM.search(before[-60:]) is not None:
        return True
    return _PAST.search(before[-40:]) is not None and _GONE.search(after) is not None


def is_open(text: str, start: int, end: int, *, unit: bool = False) -> bool:
    """Tell whether what stands at a place of a text is one of several possibilities.

    With `unit` one word may stand between it and the "or": "3 apples or 4".
    """
    after = _OR_AFTER if unit else _OR_DIRECTLY
    return _OR_BEFORE.search(text[:start]) is not None or after.match(text[end:]) is not None
