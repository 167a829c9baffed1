"""Tells whether an answer declines to answer, by patterns of phrases."""

from __future__ import annotations

import re

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.text import find_announced_answer, strip_reasoning
from pipelines.sentences import sentences

_ABSTAINS = re.compile(
    r"\b(?:i|we)\s+(?:do\s+not|don'?t)\s+(?:really\s+|actually\s+)?know\b"
    r"|\b(?:i|we)(?:\s+am|'m|\s+are|'re)\s+(?:not\s+(?:sure|able|certain)|unable|sorry)\b"
    r"|\b(?:i|we)\s+(?:can(?:no|')?t|can\s+not|could\s+not|couldn'?t)\s+(?:\w+\s+)?"
    r"(?:answer|determine|tell|say|find|calculate|provide|know)\b"
    r"|\b(?:can(?:no|')?t|can\s+not|could\s+not|impossible\s+to|unable\s+to|no\s+way\s+to)\s+(?:be\s+)?"
    r"(?:determined?|answer(?:ed)?|calculated?|known?|tell|say|solved?|found|find)\b"
    r"|\b(?:do(?:es)?|did|is|are|was|were)\s*(?:n'?t|not)\s+"
    r"(?:(?:explicitly|directly|specifically|actually|any|clearly)\s+)*"
    r"(?:contain|mention|provide|state|specif|include|say|give|tell|answer|discuss|indicat|stated|given)\w*"
    r"|\b(?:is|are|was|were)\s*(?:n'?t|not)\s+known(?:\s*[.,;]|\s+(?:wh|how|if|from)|\s*$)"
    r"|\b(?:none|neither)\s+of\s+(?:the|these|those)\s+(?:passages?|documents?|sources?|texts?)\b"
    r"|\bnothing\s+(?:about|on|that\s+answers|is\s+(?:said|stated|known))\b"
    r"|\bnot\s+(?:enough|sufficient|mentioned|stated|specified|provided|given|available|answerable)\b"
    r"|\b(?:insufficient|missing|not\s+enough)\s+(?:\w+\s+)?(?:information|data|context|details?|premises?)\b"
    r"|\bno\s+(?:(?:relevant|specific|such|further)\s+)?(?:information|mention|answer|data|evidence)\b"
    r"|\bunanswerable\b|\b(?:is|are|remains?)\s+(?:undetermined|indeterminate|unknown)\b"
    r"|\b(?:information|question|problem|premise)\s+is\s+(?:missing|incomplete|lacking)\b",
    re.IGNORECASE,
)
_YET = re.compile(r"\b(?:but|however|nevertheless|yet|although|still)\b(.*)", re.IGNORECASE | re.DOTALL)
_CONCLUDES = re.compile(r"(?:=|\b(?:therefore|thus|hence|so|equals)\b).*\d", re.IGNORECASE)
_STATES = re.compile(r"\b(?:is|are|was|were|gives|makes)\b.*\d", re.IGNORECASE)
_FIRST_PERSON = re.compile(r"\b(?:i|we)\b", re.IGNORECASE)


def abstains(answer: str) -> bool:
    """Tell whether the answer declines: it is empty, or its first or last sentence says that nothing is
    known.

    A pattern, not an understanding: a refusal in unusual words is taken for an answer, and a guess after a
    refusal for a refusal. A sentence that declines in passing and then answers all the same ("... is not
    stated, but the answer is 5") is an answer.
    """
    texts = [
        sentence.text for sentence in sentences(strip_markers(strip_reasoning(answer).replace("\u2019", "'")))
    ]
    if not texts:
        return True
    if not (_declines(texts[0]) or _declines(texts[-1])):
        return False
    # who says "I don't know" and goes on to describe the passages has not answered
    firmly = _declines(texts[0]) and _FIRST_PERSON.search(texts[0]) is not None
    return not _supplies_answer(texts[-1], firmly=firmly)


def _declines(sentence: str) -> bool:
    return _ABSTAINS.search(sentence) is not None


def _supplies_answer(sentence: str, *, firmly: bool) -> bool:
    """Tell whether a sentence supplies an answer; where it declines first, after a "but"."""
    found = _ABSTAINS.search(sentence)
    if found is not None:
        turn = _YET.search(sentence, found.end())
        if turn is None:
            return False
        sentence = turn.group(1)
    if find_announced_answer(sentence) is not None or _CONCLUDES.search(sentence) is not None:
        return True
    return not firmly and _STATES.search(sentence) is not None
