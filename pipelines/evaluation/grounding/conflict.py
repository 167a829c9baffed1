"""What speaks against a claim: a sentence that is the same but for a figure, a negation, an opposite. Pure.

Rules, not a fitted model: no public set with labelled contradictions was at hand. A conflict is therefore
claimed only where one sentence holds most of the claim's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.sentences import content_words, numbers

SAME = 0.6
"""Share of the claim's content words, figures and opposites left out, from which a sentence says the same."""

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|without|neither|nor|cannot|fail(?:s|ed)? to)\b|n['\u2019]t\b", re.I
)
_PAIRS = """more/less increase/decrease increased/decreased increases/decreases rise/fall rose/fell
higher/lower highest/lowest larger/smaller largest/smallest heavier/lighter before/after above/below
first/last always/never all/none up/down gain/loss won/lost true/false hot/cold fast/slow faster/slower
longer/shorter north/south east/west male/female alive/dead open/closed early/late earlier/later
positive/negative include/exclude includes/excludes allowed/forbidden most/least best/worst"""
_OPPOSITES = tuple(frozenset(pair.split("/")) for pair in _PAIRS.split())
_WORD = re.compile(r"[a-z]+")


def conflict(claim: str, sentences: Sequence[str]) -> tuple[float, int | None]:
    """How strongly one sentence contradicts the claim, in [0, 1], and which; 0 and None where none does.

    None does where another sentence that is as near or nearer to the claim says the same: the short brick's
    weight does not contradict the long brick's.
    """
    strongest, which, agreed = 0.0, None, 0.0
    for position, sentence in enumerate(sentences):
        shared, differs = _beside(claim, sentence)
        if not differs and numbers(claim) <= numbers(sentence):
            agreed = max(agreed, shared)
        elif differs == 1 and shared > strongest:  # two turn the meaning back, or speak of another thing
            strongest, which = shared, position
    return (0.0, None) if agreed >= strongest else (strongest, which)


def _beside(claim: str, sentence: str) -> tuple[float, int]:
    """The share of the claim's words that a sentence holds, 0 where under `SAME`; how many marks differ."""
    figures = numbers(claim)
    mine, theirs = _words(claim), _words(sentence)
    flipped = {
        word for pair in _OPPOSITES for word in pair & mine if pair - {word} <= theirs and word not in theirs
    }
    wanted = content_words(claim) - figures - {stem for word in flipped for stem in content_words(word)}
    shared = len(wanted & content_words(sentence)) / len(wanted) if wanted else 0.0
    if shared < SAME:
        return 0.0, 0
    held = numbers(sentence)
    other_figure = bool(figures) and bool(held) and not figures & held
    negated = bool(_NEGATION.search(claim)) != bool(_NEGATION.search(sentence))
    return shared, other_figure + negated + bool(flipped)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
