"""Reads yes or no, true or false, from an answer: the words themselves, denials and opposites. Pure.

"Smoking is forbidden" says no where the question is whether it is allowed, and yes where it is whether it is
forbidden.
"""

from __future__ import annotations

import re

_YES = re.compile(
    r"\W*(?:yes|yeah|yep|yup|correct|true|indeed|sure|certainly|absolutely|definitely|of\s+course|ja|jawohl|oui|s[ií]|sim|da|tak|"
    r"evet|joo|kyllä|да|так|はい|是的?|对|對|예|네|نعم|हाँ)(?!\w)",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\W*(?:(?:no|nope|nah|false|never)(?!\s+(?:one|longer|doubt|question|wonder|matter)\b)|(?:not\s+true|untrue|by\s+no\s+means|"
    r"on\s+the\s+contrary|nein|non|nee|nej|nei|n[ãa]o|nie|hay[\u0131i]r|ei|нет|ні|いいえ|不是?|否|아니[오요]|لا|नहीं))(?!\w)",
    re.IGNORECASE,
)
_CERTAINTY = re.compile(
    r"\b(?:no|without(?:\s+a)?|beyond(?:\s+a)?)\s+(?:doubt|question)\b|\bnot\s+only\b", re.IGNORECASE
)
_DENIES = re.compile(
    r"\b(?:not|never|cannot|none|neither|no|nobody|hardly|no\s+longer)\b|n't\b", re.IGNORECASE
)
_AFFIRMS = re.compile(
    r"^\W*(?:\w+\s+){0,4}?(?:do|does|did|is|are|was|were|can|may|has|have|will|must|should)\b", re.IGNORECASE
)
_OPPOSITES = tuple(
    (re.compile(rf"\b(?:{one})\b", re.IGNORECASE), re.compile(rf"\b(?:{other})\b", re.IGNORECASE))
    for one, other in (
        (
            r"allow\w*|permit\w*|permission|may|can|legal\w*",
            r"forb[ia]d\w*|prohibit\w*|banned|ban|bans|illegal\w*|barred",
        ),
        (
            r"approv\w*|accept\w*|adopt\w*|pass(?:ed|es)?|agree\w*|grant\w*|support\w*|confirm\w*",
            r"reject\w*|refus\w*|turn(?:ed)?\s+down|declin\w*|veto\w*|disagree\w*|oppos\w*|den(?:y|ied|ies)|vot(?:ed|es)\s+against",
        ),
        (r"open\w*", r"clos(?:e|es|ed|ing)|shut\w*"),
        (r"alive|liv(?:e|es|ed|ing)|surviv\w*", r"dead|d(?:ie|ies|ied)|perish\w*|killed|drowned"),
        (r"w[io]n(?:s|ning)?|beat\w*", r"los(?:e|es|t|ing)|defeated"),
        (r"succe\w*|work(?:s|ed|ing)?", r"fail\w*|broke\w*|out\s+of\s+order"),
        (
            r"increas\w*|ris(?:e|es|en|ing)|rose|gr[eo]w\w*|climb\w*",
            r"decreas\w*|f[ae]ll\w*|drop\w*|declin\w*|shr[aiu]nk\w*",
        ),
        (r"possible", r"impossible"),
        (
            r"(?:be)?gin\w*|beg[au]n|start\w*|arriv\w*",
            r"end(?:s|ed|ing)?|stop\w*|finish\w*|le(?:ft|aves?|aving)|depart\w*",
        ),
        (
            r"built|build\w*|found(?:ed)?|creat\w*",
            r"demolish\w*|destroy\w*|burn\w*|torn\s+down|abolish\w*|dissol\w*",
        ),
        (r"born", r"d(?:ied|ies)|buried"),
        (r"bought|buys?", r"sold|sells?"),
        (r"free", r"charged?|costs?"),
        (r"same|equal\w*|identical", r"differ\w*|unequal"),
        (r"full", r"empty"),
        (r"true|right|correct", r"false|wrong|incorrect|untrue"),
    )
)
_WRONG = re.compile(
    r"\b(?:wrong|incorrect|untrue|false|mistaken|not\s+(?:true|correct|right|so|the\s+case))\b", re.IGNORECASE
)
_RIGHT = re.compile(
    r"\b(?:true|correct|right|not\s+(?:wrong|incorrect|untrue|false|mistaken))\b", re.IGNORECASE
)


def read_yes_or_no(text: str, question: str = "") -> str:
    """Read the yes or no that an answer begins with, else "no" of a denial or of the opposite of what
    is asked, "yes" of an affirmation; or nothing.

    Args:
        text: The answer.
        question: What is asked: "closed" says no to whether it is open.
    """
    text = _CERTAINTY.sub(" ", text)
    if _YES.match(text):
        return "yes"
    if _NO.match(text):
        return "no"
    spoken = set(re.findall(r"\b(yes|no)\b", text))
    if len(spoken) == 1 and not _DENIES.search(re.sub(r"\bno\b", "", text)):
        return str(spoken.pop())
    denied, opposite = _DENIES.search(text) is not None, says_opposite(text, question)
    if opposite:
        return "yes" if denied else "no"
    if denied:
        return "no"
    return "yes" if _AFFIRMS.match(text) or _agrees(text, question) else ""


def read_truth(text: str, question: str = "") -> str:
    """Read whether an answer calls a statement "true" or "false"; nothing where it says neither."""
    found = [match for pattern in (_WRONG, _RIGHT) for match in pattern.finditer(text)]
    if found:
        # "not wrong" is longer than the "wrong" in it
        longest = max(found, key=lambda match: (match.end() - match.start(), -match.start()))
        return "true" if _RIGHT.fullmatch(longest.group()) else "false"
    return {"yes": "true", "no": "false", "": ""}[read_yes_or_no(text, question)]


def says_opposite(text: str, question: str) -> bool:
    """Tell whether a text speaks of the opposite of what a question asks for, and not of that itself."""
    return any(
        (
            pair[0].search(question)
            and not pair[1].search(question)
            and pair[1].search(text)
            and not pair[0].search(text)
        )
        or (
            pair[1].search(question)
            and not pair[0].search(question)
            and pair[0].search(text)
            and not pair[1].search(text)
        )
        for pair in _OPPOSITES
    )


def _agrees(text: str, question: str) -> bool:
    return any(one.search(question) and one.search(text) for pair in _OPPOSITES for one in pair)
