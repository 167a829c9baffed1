"""Where an answer says its answer: without reasoning, and without the way that led there."""

from __future__ import annotations

import re

from pipelines.sentences import sentences

_CLOSED = re.compile(r".*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r"<think(?:ing)?>.*", re.DOTALL | re.IGNORECASE)
_IS = r"(?:\s+(?:is|are|would\s+be|must\s+be|to\s+(?:the|this)\s+\w+\s+is)\b\s*:?|\s*[:=])"
_ANSWER = re.compile(
    rf"####|\b(?:final|correct|right|best)\s+(?:option|choice|result|solution)\b{_IS}|\banswer\b{_IS}",
    re.IGNORECASE,
)
_LINE = re.compile(r"^[ \t]*answer[ \t]*:[ \t]*(?=\S)", re.IGNORECASE | re.MULTILINE)
_RESULT = re.compile(rf"\b(?:result|solution|option|choice)\b{_IS}", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")

_POINTS_BACK = re.compile(r"(?:note\b|(?:this|that|which)\s+is\s+(?:the|our|an?)\b)", re.IGNORECASE)
_MARKDOWN = re.compile(r"\*\*|__|`")


def without_reasoning(text: str) -> str:
    """What follows the thinking; nothing where thinking was opened and never closed.

    The gateway's answers carry none; replies of other systems, and raw traces, may.
    """
    return _OPEN.sub("", _CLOSED.sub("", text)).strip()


def boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{...}, as the MATH data set asks for (Hendrycks et al. 2021)."""
    found = list(_BOXED.finditer(text))
    if not found:
        return None
    depth, start = 1, found[-1].end()
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start:index].strip()
    return text[start:].strip()


def announced(text: str) -> str | None:
    """What the answer announces as its answer: boxed, or after "####", "the answer is", "Answer:"."""
    plain = without_reasoning(text)
    inside = boxed(plain)
    if inside is not None:
        return inside
    plain = _MARKDOWN.sub("", plain)
    found = [match for match in _ANSWER.finditer(plain) if plain[match.end() :].strip()]
    if not found and (last := sentences(plain)[-1:]):
        # results come along the way as well: in the last sentence alone they are the answer
        found = [match for match in _RESULT.finditer(plain, last[0].start) if plain[match.end() :].strip()]
    if not found:
        return None
    rest = plain[found[-1].end() :].strip().splitlines()[0]
    said = sentences(rest)
    return said[0].text if said else rest


def given(text: str) -> str:
    """What stands behind the last "Answer:" that begins a line, as a run's wording asks for; else the whole
    text."""
    plain = _MARKDOWN.sub("", without_reasoning(text))
    found = list(_LINE.finditer(plain))
    return plain[found[-1].end() :].strip() if found else plain


def conclusion(text: str) -> str:
    """What is announced, else the last sentence, but for a note or a "This is the answer" after it."""
    said = announced(text)
    if said is not None:
        return said
    found = [each.text for each in sentences(_MARKDOWN.sub("", without_reasoning(text)))]
    while len(found) > 1 and _POINTS_BACK.match(found[-1]):
        found.pop()
    return found[-1] if found else ""
