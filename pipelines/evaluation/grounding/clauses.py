"""Cuts a claim into its clauses: a sentence is supported where each of its claims is. Pure, by patterns."""

from __future__ import annotations

import re

from pipelines.sentences import content_words

LEAST = 3
"""Content words of a clause; a shorter one stays with its neighbour: "in 1844" alone says nothing."""

_BORDER = re.compile(
    r"[;:]\s+|[.!?]\s+|,\s+|\s+\(|\)\s*|\s+[-\u2013]+\s+|\s*\u2014\s*"
    r"|\s+(?:which|who|whose|where|while|whereas|although|but|and|so|because|since|that)\s+",
    re.IGNORECASE,
)


def split_clauses(claim: str) -> list[str]:
    """Split a claim at its punctuation and conjunctions.

    Args:
        claim: One sentence or more, without citation marks.

    Returns:
        Its clauses in order, each with `LEAST` content words or more, or the claim itself.
    """
    clauses: list[str] = []
    for part in (part.strip() for part in _BORDER.split(claim)):
        if not part:
            continue
        if clauses and (_is_short(part) or _is_short(clauses[-1])):
            clauses[-1] = f"{clauses[-1]} {part}"
        else:
            clauses.append(part)
    return clauses or [claim]


def _is_short(part: str) -> bool:
    return len(content_words(part)) < LEAST
