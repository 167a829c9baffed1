"""The words in which a run asks for an answer's form, and how their echo is taken out of an answer.

Small models repeat the instruction: an echoed 'that line is "Answer: I don't know"' declines nothing.
"""

from __future__ import annotations

import re

DECLINING = "I don't know"
"""What a run asks a model to put behind "Answer:" where it declines, and what is then read as declining."""
_LAST_LINE = 'End with a last line that begins with "Answer:" and holds'
FORMS = {
    "numeric": f"{_LAST_LINE} the number alone.",
    "choice": f"{_LAST_LINE} the letter of the option alone.",
    "expression": f"{_LAST_LINE} the result alone: a number, a formula, or a few words.",
    "exact": f"{_LAST_LINE} the answer alone, in as few words as possible.",
}
"""The form of an answer, by the question's kind."""
HOW_TO_DECLINE = f'Where the passages do not say, that line is "Answer: {DECLINING}".'

_QUOTED_LINE = (
    r"(?:that|the|this|your)\s+(?:last\s+)?line\s+(?:is|should\s+be|must\s+be|reads|says)\s*:?\s*"
    r"[\"\u201c\u201d'`]+\s*answer\s*:[^\"\u201d\n]*[\"\u201c\u201d`]*\.?"
)
_ECHOES = (
    re.compile(
        rf"\b(?:where|when|if)\s+(?:the|no)\s+(?:passages?|texts?|documents?)\s+[^.\n,]*,\s*(?:then\s+)?{_QUOTED_LINE}",
        re.IGNORECASE,
    ),
    re.compile(rf",?\s*(?:(?:and|then|so|but)\s+)?{_QUOTED_LINE}", re.IGNORECASE),
    re.compile(
        r"(?:\b(?:end|ends|ending|finish)\s+with\s+(?:a|the)\s+(?:last\s+)?)?\bline\s+that\s+begins\s+with\s+[\"\u201c'`]*answer:?[\"\u201d'`]*\s+and\s+holds\b"
        r"[^.\n]*(?:\.|$)",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(
        r"\bif\s+(?:no\s+passages?\s+holds?\s+the\s+answer|you\s+(?:do\s+not|don'?t)\s+know),?\s+say:?\s*"
        r"[\"\u201c'`]*i\s+(?:do\s+not|don'?t)\s+know\b[\"\u201d'`]*\.?",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:if|when|where|in\s+case|unless)\b[^.\n]{0,120}?,?\s+(?:please\s+|just\s+|then\s+|simply\s+)?(?:say|answer|reply|respond|write|state|output)"
        r"(?:\s+with)?\s*:?\s*[\"\u201c'`\u00ab][^\"\u201d\n]{1,60}[\"\u201d'`\u00bb]\.?",
        re.IGNORECASE,
    ),
    re.compile(r"\bcite\s+passages\s+by\s+number,\s+like\s+\[1\]\.?", re.IGNORECASE),
)


def strip_echo(text: str) -> str:
    """Take the run's own instruction, or a part of it, out of an answer that repeats it."""
    for echo in _ECHOES:
        text = echo.sub(" ", text)
    return text
