"""Finds what speaks against a claim: a sentence that is the same but for a figure, a negation, an opposite.
Pure, by rules.

The labelled sets have hardly any contradiction that is called one. So each rule is measured by how seldom
people call what it marks supported (`make bench-groundedness`); one under 80 % was narrowed or left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.evaluation.grounding.clauses import split_clauses
from pipelines.evaluation.grounding.comparison import check_comparisons
from pipelines.evaluation.grounding.roles import are_swapped, split_attached
from pipelines.sentences import content_words, numbers

Rule = Literal["figure", "negation", "opposite", "comparison", "order"]

SAME_WORDS = 0.7
"""Share of the claim's content words, figures and opposites left out, from which a sentence says the same."""
ALIKE = 0.75
"""The same share, of the claim's and of the sentence's words, from which the two say little else."""
COMPARED = 0.9
"""How strongly two figures, or a comparison the other way round, speak against a comparison; and A's deed
to B against B's to A."""

_NEGATION = re.compile(
    r"\b(?:not(?!\s+only)|never|without|neither|nor|cannot|fail(?:s|ed)? to"
    r"|no(?!\s*[,.;!])(?!\s+longer\s+than))\b"
    r"|n['\u2019]t\b",
    re.IGNORECASE,
)
_DENIES = re.compile(
    _NEGATION.pattern
    + r"|\b(?:against|forbid\w*|prohibit\w*|ban(?:s|ned)?|prevent\w*|lack\w*|unable|impossible"
    r"|refus\w*|den(?:y|ies|ied)|un\w{4,}|nobody|nothing|hardly|rarely|few|little|only|stop\w*)\b",
    re.IGNORECASE,
)
"""Says no, though it may not say "not"."""
_SPOKEN = re.compile(
    r"^(?:(?:no|nope|yes|yeah|well|not\s+really|actually|oh|ok|okay"
    r"|i(?:\s+am|\s*['\u2019]m)?\s+(?:not\s+sure|do\s*n['o\u2019]*t\s+(?:know|think)|have\s+no\s+idea|have\s+not))\b[\s,.!]*"
    r"(?:but\s+)?)+",
    re.IGNORECASE,
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


@dataclass(frozen=True, slots=True)
class Conflict:
    """How strongly the sentence with the number `sentence` contradicts a claim, in [0, 1], and by which rule.

    `unsettled`: the claim compares two things of which the passages do not tell which is greater, or denies
    what no sentence near to it denies. `settled`: what it compares is so, by the passages.
    """

    strength: float = 0.0
    sentence: int | None = None
    rule: Rule | None = None
    unsettled: bool = False
    settled: bool = False


def find_conflict(claim: str, sentences: Sequence[str]) -> Conflict:
    """Find the sentence that contradicts the claim most strongly.

    None does where another sentence that is as near or nearer to the claim says the same: the short brick's
    weight does not contradict the long brick's.

    Args:
        claim: One sentence, without citation marks.
        sentences: Those of its passages.

    Returns:
        The conflict; of strength 0 where there is none.
    """
    outcome, which = check_comparisons(claim, sentences)
    if outcome == "fails":
        return Conflict(COMPARED, which, "comparison")
    unsettled = outcome == "unknown" or _denies_alone(claim, sentences)
    none = Conflict(unsettled=unsettled, settled=outcome == "holds")
    strongest, agreed = none, 0.0
    held: frozenset[str] = frozenset().union(*(numbers(sentence) for sentence in sentences))
    words = content_words(claim) - numbers(claim)
    for position, sentence in enumerate(sentences):
        if 2 * len(words & content_words(sentence)) < len(words):
            continue  # too far to be worth the patterns
        shared, rules = _compare_parts(claim, sentence, held)
        if not rules and numbers(claim) <= numbers(sentence):
            agreed = max(agreed, shared)
        elif (
            len(rules) == 1 and shared > strongest.strength
        ):  # two turn the meaning back, or are of another thing
            strongest = Conflict(shared, position, rules[0], unsettled)
    return none if agreed >= strongest.strength else strongest


def _compare_parts(claim: str, sentence: str, held: frozenset[str]) -> tuple[float, list[Rule]]:
    """Compare as `_compare` does; where two opposites are said of two things, each part of the claim with
    the part of the sentence that is nearest to it."""
    shared, rules = _compare(claim, sentence, held)
    if are_swapped(claim, sentence):
        return COMPARED, ["order"]
    mine, theirs = _words(claim), _words(sentence)
    for pair in _OPPOSITES:
        if not (pair & mine and pair <= theirs):
            continue
        for said in split_attached(claim, pair):
            parts = [_compare(said, part, held) for part in split_attached(sentence, pair)]
            nearest = max(parts, key=lambda part: part[0])
            if nearest[1] == ["opposite"] and all(
                part[0] < nearest[0] for part in parts if part is not nearest
            ):
                return nearest
    return shared, rules


def _denies_alone(claim: str, sentences: Sequence[str]) -> bool:
    """Tell whether a clause denies what no sentence denies that holds half of its words."""
    for clause in split_clauses(_SPOKEN.sub("", claim)):
        if not _NEGATION.search(clause):
            continue
        words = content_words(clause)
        near = [sentence for sentence in sentences if 2 * len(words & content_words(sentence)) >= len(words)]
        if not any(_DENIES.search(sentence) for sentence in near or sentences):
            return True
    return False


def _compare(claim: str, sentence: str, held: frozenset[str]) -> tuple[float, list[Rule]]:
    """Compute the share of the claim's words that a sentence holds (0 below `SAME_WORDS`); which rules find
    that the two differ; `held` are the figures of all sentences."""
    claim = _SPOKEN.sub("", claim)
    mine, theirs = _words(claim), _words(sentence)
    flipped = {
        word for pair in _OPPOSITES for word in pair & mine if pair - {word} <= theirs and word not in theirs
    }
    turned = {stem for pair in _OPPOSITES if pair & flipped for word in pair for stem in content_words(word)}
    wanted = content_words(claim) - numbers(claim) - turned
    stated = content_words(sentence) - numbers(sentence) - turned
    shared = len(wanted & stated) / len(wanted) if wanted else 0.0
    if shared < SAME_WORDS:
        return 0.0, []
    alike = shared >= ALIKE and len(wanted & stated) >= ALIKE * len(stated)
    negated = bool(_NEGATION.search(claim)) != bool(_NEGATION.search(sentence))
    found: list[tuple[Rule, bool]] = [
        ("figure", _differs_in_figure(claim, sentence, held, alike=alike)),
        ("negation", alike and negated),
        ("opposite", alike and bool(flipped)),
    ]
    return shared, [rule for rule, applies in found if applies]


def _differs_in_figure(claim: str, sentence: str, held: frozenset[str], *, alike: bool) -> bool:
    """Tell whether the sentence has another figure where the claim has one that no passage has."""
    mine, theirs = _figures_by_unit(claim), _figures_by_unit(sentence)
    units = mine.keys() & theirs.keys()
    if units:
        return any(not mine[unit] & theirs[unit] and not mine[unit] & held for unit in units)
    return alike and bool(mine) and bool(theirs) and not numbers(claim) & held


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
