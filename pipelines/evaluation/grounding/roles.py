"""Tells who did what, and what is said of which. Pure, by patterns.

"Open on Monday" is not what "closed on Monday and open on Tuesday" says, nor "B beat A" what "A beat B" does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CUT = re.compile(r"[;,]\s+(?:(?:and|but|while|whereas)\s+)?|\s+(?:and|but|while|whereas)\s+", re.IGNORECASE)
_NAME = r"[A-Z][\w'\u2019-]+(?:\s+(?:of|de|van|von)?\s*[A-Z][\w'\u2019-]+)*"
_BETWEEN = r"(?:(?!\b(?:and|but|who|which|that|when|while|after|before|not|never)\b|n't)[^.;:])"
_VERBS = tuple(
    """sold sells bought buys gave gives beat beats defeated defeats killed kills taught teaches hired
    hires succeeded succeeds replaced replaces preceded precedes founded owns owned sued sues followed
    follows invited invites attacked attacks invaded invades conquered conquers acquired acquires
    inspired inspires loaned lent directed directs employed employs outsold overtook paid pays
    influenced influences supported supports criticised criticized accused accuses married helped
    helps""".split()  # noqa: SIM905
)
_ALIKE = frozenset({"married"})
"""Verbs that mean the same either way round."""
_PAST = {
    "taught": "teach", "sold": "sell", "bought": "buy", "gave": "give", "lent": "loan", "paid": "pay",
    "beaten": "beat",
}  # fmt: skip
_DONE = re.compile(
    rf"(?P<one>{_NAME})(?:'s\s+\w+)?\s+(?:(?:then|later|also|once|had|has|have)\s+)*(?P<verb>{'|'.join(_VERBS)})\b"
    rf"{_BETWEEN}{{0,60}}?\b(?P<other>{_NAME})"
)
_SUFFERED = re.compile(
    rf"(?P<other>{_NAME})\s+(?:was|were|is|are|has\s+been|had\s+been)\s+(?:\w+ly\s+)?(?P<verb>{'|'.join(_VERBS)}|given|beaten)\s+"
    rf"(?:\w+\s+){{0,2}}?by\s+(?:the\s+)?(?P<one>{_NAME})"
)


def split_attached(text: str, words: frozenset[str]) -> list[str]:
    """Split a text at its commas and conjunctions, where it says one of two opposite words of each part.

    Args:
        text: "The museum is closed on Monday and open on Tuesday."
        words: The two opposites, in lower case.

    Returns:
        "The museum is closed on Monday", "The museum is open on Tuesday."; the text alone without both.
    """
    if not words <= frozenset(re.findall(r"[a-z]+", text.lower())):
        return [text]
    pattern = re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)
    parts: list[str] = []
    lead = ""
    for part in filter(None, map(str.strip, _CUT.split(text))):
        found = pattern.search(part)
        if found is None and parts:
            parts[-1] = f"{parts[-1]}, {part}"
        elif found is not None and not part[: found.start()].strip():
            parts.append(f"{lead}{part}")
        else:
            lead = part[: found.start()] if found is not None else lead
            parts.append(part)
    return parts


def are_swapped(claim: str, sentence: str) -> bool:
    """Tell whether a sentence says that B did to A what the claim says that A did to B."""
    done = set(_list_deeds(claim))
    told = set(_list_deeds(sentence))
    return any((other, verb, one) in told for one, verb, other in done - told)


def _list_deeds(text: str) -> Iterator[tuple[str, str, str]]:
    """List who did what to whom: last words of names, and the verb's stem."""
    for pattern in (_SUFFERED, _DONE):
        for match in pattern.finditer(text):
            verb = match.group("verb")
            one, other = (match.group(name).split()[-1].removesuffix("'s") for name in ("one", "other"))
            if verb not in _ALIKE and one != other:
                yield one, _PAST.get(verb, verb.rstrip("s").removesuffix("ed").rstrip("e")), other
