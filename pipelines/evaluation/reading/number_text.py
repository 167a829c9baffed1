"""Writes the numbers of an answer in one way, in view of the question: the year of a date, shares. Pure."""

from __future__ import annotations

import re

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.number_words import write_digits
from pipelines.evaluation.reading.numerals import compute_powers, unify_numerals
from pipelines.evaluation.reading.units import find_counted

_REFERRED = re.compile(
    r"\(?\b(?:passages?|sources?|documents?|pages?|step|figure|table|section|line|chapter)\s+\d+(?:\s+of\s+\d+)?\)?",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:\d{1,2}[./]\d{1,2}[./](?P<a>\d{4})|(?P<b>\d{4})-\d{2}-\d{2}|\d{1,2}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?[^\W\d]{3,9}\.?,?\s+(?P<c>\d{4})"
    r"|[A-Z][a-z]{2,8}\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+(?P<d>\d{4})|(?P<e>\d{4})\u5e74)(?!\d)"
)
_PLACE = re.compile(r"\b(?:position|place|rank|ranked|floor|century|grade|which\s+number)\b", re.IGNORECASE)
YEAR = re.compile(r"\b(?:which|what)\s+year\b|\bwhen\b", re.IGNORECASE)
_CHANGED = re.compile(
    r"(\b(?:gr[eo]wn?|r[io]sen?|increas\w*|went|gone|fell|fallen|dropped|decreas\w*|shrank|chang\w*|expand\w*|mov\w*|cut|raised)"
    r"\b[^.;]{0,20}?)\bfrom\s+[$€£]?[\d.]+\s*(?:[^\W\d]+\s+)?to\s+(?=[$€£]?\d)",
    re.IGNORECASE,
)
_BY_HOW_MUCH = re.compile(r"\bby\s+(?:how|what)\b|\bfrom\s+what\b|\binitial|\bstart", re.IGNORECASE)
_UNTIL = re.compile(r"\b(?:until|till|up\s+to|since|from\s+which)\b", re.IGNORECASE)
_UP_TO = re.compile(r"\b(?:until|till|up\s+to|since)\s+(?=\d)", re.IGNORECASE)
_ONE_IN = re.compile(r"\b(\d{1,2})\s+(?:in|out\s+of|of)\s+(?:every\s+)?(\d{1,4})\b", re.IGNORECASE)
SHARE = re.compile(
    r"\b(?:share|part|proportion|fraction|percent\w*|per\s+cent|%|odds|probability|chance)", re.IGNORECASE
)


def prepare(text: str, question: str) -> str:
    """Write a text's numbers in one way, without the numbers of citations, pages and steps."""
    text = _REFERRED.sub(" ", strip_markers(text))
    text = _write_none(text, question)
    text = write_digits(unify_numerals(text), ordinals=_PLACE.search(question) is not None)
    if YEAR.search(question):
        text = _DATE.sub(lambda match: next(filter(None, match.groups())), text)
    if not _BY_HOW_MUCH.search(question):
        text = _CHANGED.sub(r"\1", text)
    counted = find_counted(question)
    if counted is not None:
        text = re.sub(rf"(?<=\d)m(?=\s+{re.escape(counted)})", " million", text)
    if _UNTIL.search(question):
        text = _UP_TO.sub("in ", text)  # what is asked is the bound
    if SHARE.search(question):
        text = _ONE_IN.sub(r"\1/\2", text)
    return compute_powers(text)


def _write_none(text: str, question: str) -> str:
    """Write 0 for none of what a question counts: "No towers are left" of "How many towers are left?"."""
    counted = find_counted(question)
    if counted is None or any(map(str.isdigit, text)):
        return text
    return re.sub(
        rf"^\W*(?:there\s+(?:is|are|was|were)\s+|it\s+has\s+)?no\s+(?:\w+\s+)?{re.escape(counted)}\w*",
        "0",
        text,
        flags=re.IGNORECASE,
    )
