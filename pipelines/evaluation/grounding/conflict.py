"""Finds what speaks against a claim: a sentence that is the same but for a figure, a negation, an opposite.
Pure.

Rules, not a fitted model: no public set with labelled contradictions was at hand. A conflict is therefore
claimed only where one sentence holds most of the claim's words, and differs from it by one mark: by a figure
of the same unit, or, where it says little else than the claim, by any figure, a negation or an opposite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.sentences import content_words, numbers

SAME_WORDS = 0.6
"""Share of the claim's content words, figures and opposites left out, from which a sentence says the same."""

ALIKE = 0.5
"""Share of the sentence's content words that the claim must hold for the sentence to say little else."""

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
_MEASURED = re.compile(r"(\d+(?:[.,]\d+)*)(?:\s*(%)|[\s-]+([^\W\d_]+))?")
_YEAR = re.compile(r"(?:1\d|20)\d\d$")


def find_conflict(claim: str, sentences: Sequence[str]) -> tuple[float, int | None]:
    """Measure how strongly one sentence contradicts the claim, in [0, 1], and its number; 0 and None where
    none does.

    None does where another sentence that is as near or nearer to the claim says the same: the short brick's
    weight does not contradict the long brick's.
    """
    strongest, which, agreed = 0.0, None, 0.0
    for position, sentence in enumerate(sentences):
        shared, differs = _compare(claim, sentence)
        if not differs and numbers(claim) <= numbers(sentence):
            agreed = max(agreed, shared)
        elif differs == 1 and shared > strongest:  # two turn the meaning back, or speak of another thing
            strongest, which = shared, position
    return (0.0, None) if agreed >= strongest else (strongest, which)


def _compare(claim: str, sentence: str) -> tuple[float, int]:
    """Compute the share of the claim's words that a sentence holds (0 below `SAME_WORDS`); how many marks
    differ."""
    figures = numbers(claim)
    mine, theirs = _words(claim), _words(sentence)
    flipped = {
        word for pair in _OPPOSITES for word in pair & mine if pair - {word} <= theirs and word not in theirs
    }
    wanted = content_words(claim) - figures - {stem for word in flipped for stem in content_words(word)}
    held = content_words(sentence)
    shared = len(wanted & held) / len(wanted) if wanted else 0.0
    if shared < SAME_WORDS:
        return 0.0, 0
    alike = len(wanted & held) > ALIKE * len(held - numbers(sentence))
    negated = bool(_NEGATION.search(claim)) != bool(_NEGATION.search(sentence))
    return shared, _differs_in_figure(claim, sentence, alike=alike) + (alike and negated) + (
        alike and bool(flipped)
    )


def _differs_in_figure(claim: str, sentence: str, *, alike: bool) -> bool:
    mine, theirs = _figures_by_unit(claim), _figures_by_unit(sentence)
    units = mine.keys() & theirs.keys()
    if units:
        return any(not mine[unit] & theirs[unit] for unit in units)
    return alike and bool(mine) and bool(theirs) and not numbers(claim) & numbers(sentence)


def _figures_by_unit(text: str) -> dict[str, set[str]]:
    """Group the figures by unit: the word after them, cut as content words are; years are a unit too."""
    figures: dict[str, set[str]] = {}
    for match in _MEASURED.finditer(text):
        figure = match.group(1).replace(",", "")
        unit = " ".join(content_words((match.group(3) or "").lower())) or match.group(2) or ""
        figures.setdefault("year" if _YEAR.match(figure) else unit, set()).add(figure)
    return figures


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
