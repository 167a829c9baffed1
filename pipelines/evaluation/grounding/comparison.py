"""Checks a comparison ("is denser than water") against two figures of the passages, or against their words.
Pure, by patterns.

The words of a comparison prove nothing about it: "which is much higher than the density of water" has every
word of a passage that says that ice floats on water.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.sentences import content_words

Outcome = Literal["holds", "fails", "unknown"]

_PAIRS = """higher/lower larger/smaller bigger/smaller greater/smaller longer/shorter taller/shorter
heavier/lighter faster/slower quicker/slower hotter/colder warmer/cooler later/earlier wider/narrower
deeper/shallower older/younger stronger/weaker thicker/thinner brighter/darker louder/quieter
richer/poorer further/nearer farther/closer harder/softer denser/thinner
costlier/cheaper better/worse more/less more/fewer"""
_GREATER: Mapping[str, str] = {pair.split("/")[0]: pair.split("/")[0] for pair in _PAIRS.split()}
_LESS: Mapping[str, str] = {pair.split("/")[1]: pair.split("/")[0] for pair in reversed(_PAIRS.split())}
_SAME = {
    "bigger": "larger",
    "greater": "larger",
    "quicker": "faster",
    "farther": "further",
    "warmer": "hotter",
}
_WORDS = "|".join(sorted(_GREATER.keys() | _LESS.keys()))
_COMPARES = re.compile(
    rf"\b(?:({_WORDS})\b((?:[\s-]+[\w-]+){{0,5}}?)\s+than\b|(?:exceed|outnumber|outweigh|surpass)(?:e?s|ed|ing)?\b)",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"\s*(?:about|around|some|the\s+)?\s*[\d.,]*\d|\s*(?:(?:an?\s+)?(?:dozen|hundred|thousand|million|third|quarter|half|few"
    r"|year|month|week|day|hour|minute)"
    r"|one|two|three|ever|usual|expected)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(?:\bnot|\bno|\bnever|n['\u2019]t)(?:\s+\w+){0,2}\s*$", re.IGNORECASE)
_END = re.compile(
    r"[;:.!?](?=\s|$)|,\s|\s(?:and|but|while|whereas|because|since|so|although)\s", re.IGNORECASE
)
_FIGURE = re.compile(
    r"(?<![\w.,])([$\u20ac\u00a3]?)\s?(\d+(?:,\d{3})*(?:\.\d+)?)(?:\s*(%)|[\s-]*(thousand|million|billion)?[\s-]*([^\W\d_]+|\u00b0))?",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"[$\u20ac\u00a3]?\d[\d.,]*\s*(?:%|[^\W\d_]+|\u00b0)?(?:\s*(?:per|/)\s*(?:cubic\s+|square\s+)?[^\W\d_]+)?"
)
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
_YEAR = re.compile(r"(?:1\d|20)\d\d$")
_OF_YEARS = {"older": -1, "younger": 1, "earlier": -1, "later": 1}
"""Where figures are years, only these say which is greater."""
_PLURALS = {"metre": "m", "meter": "m", "kilogram": "kg", "kilometre": "km", "kilometer": "km", "gram": "g"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: by which quality ("dens"), the words that only one side has, and whether the first is
    said to have more of it; `word` is the comparative itself."""

    word: str
    quality: str
    greater: bool
    first: frozenset[str]
    second: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Figure:
    value: float
    unit: str
    words: frozenset[str]


def check_comparisons(claim: str, sentences: Sequence[str]) -> tuple[Outcome | None, int | None]:
    """Check each comparison of a claim; None where it makes none.

    Args:
        claim: One sentence, without citation marks.
        sentences: Those of its passages.

    Returns:
        `fails` where two figures of the same unit, or a sentence that compares the same two, say otherwise,
        with the number of that sentence; `unknown` where nothing is said of one of them; else `holds`.
    """
    outcomes = [_check(comparison, sentences) for comparison in find_comparisons(claim)]
    for wanted in ("fails", "unknown", "holds"):
        for outcome, which in outcomes:
            if outcome == wanted:
                return outcome, which
    return None, None


def find_comparisons(text: str) -> Iterator[Comparison]:
    """Find what a text compares with what; "more than 100" sets a bound and compares nothing."""
    for match in _COMPARES.finditer(text):
        after = text[match.end() :]
        if _BOUND.match(after):
            continue
        end = _END.search(after)
        first = _name(text[: match.start()])
        second = _name(after[: end.start()] if end else after)
        if first - second and second - first:
            word = (match.group(1) or "more").lower()
            quality, greater = _read_quality(word, match.group(2) or "")
            greater ^= bool(_DENIED.search(text[: match.start()]))
            yield Comparison(word, quality, greater, first - second, second - first)


def leave_out_comparatives(text: str) -> str:
    """Return a text without the words that compare: where two figures bear it out, no passage needs to have
    them."""
    return " ".join(_COMPARES.sub(" ", text).split())


def _name(text: str) -> frozenset[str]:
    """Read the words that name a side, without its measures."""
    return content_words(_MEASURE.sub(" ", text))


def _read_quality(word: str, between: str) -> tuple[str, bool]:
    """Read by what things are compared: "less dense" and "thinner" are both the contrary of denser."""
    described = between.split()
    if word in {"more", "less"} and described:
        return described[0].lower()[:4], word == "more"
    greater = word in _GREATER
    root = _GREATER.get(word) or _LESS[word]
    return _SAME.get(root, root)[:4], greater


def _check(comparison: Comparison, sentences: Sequence[str]) -> tuple[Outcome, int | None]:
    by_words = _compare_words(comparison, sentences)
    if by_words is not None:
        return by_words
    by_figures = _compare_figures(comparison, sentences)
    return ("unknown", None) if by_figures is None else ("holds" if by_figures[0] else "fails", by_figures[1])


def _compare_words(comparison: Comparison, sentences: Sequence[str]) -> tuple[Outcome, int] | None:
    """Compare with what a sentence says of the same two, in this order or the other one."""
    for at, sentence in enumerate(sentences):
        for said in find_comparisons(sentence):
            if said.quality != comparison.quality:
                continue
            straight = _is_about(said.first, comparison.first) and _is_about(said.second, comparison.second)
            turned = _is_about(said.first, comparison.second) and _is_about(said.second, comparison.first)
            if straight != turned:
                return ("holds" if (said.greater == comparison.greater) is straight else "fails"), at
    return None


def _is_about(said: frozenset[str], wanted: frozenset[str]) -> bool:
    return 2 * len(said & wanted) >= min(len(said), len(wanted)) > 0


def _compare_figures(comparison: Comparison, sentences: Sequence[str]) -> tuple[bool, int] | None:
    """Compare the figure of one side with that of the other; None where they are not to be told."""
    figures = [(figure, at) for at, sentence in enumerate(sentences) for figure in _read_figures(sentence)]
    for unit in {figure.unit for figure, _ in figures}:
        same = [(figure, at) for figure, at in figures if figure.unit == unit]
        common = frozenset[str].intersection(*(figure.words for figure, _ in same))
        sides = comparison.first - common, comparison.second - common
        first, second = _find_figure(same, *sides), _find_figure(same, *reversed(sides))
        if first is None or second is None or first[0].value == second[0].value:
            continue
        sign = 1 if comparison.greater else -1
        if unit == "year":
            sign = _OF_YEARS.get(comparison.word, 0)
        if sign:
            return (first[0].value - second[0].value) * sign > 0, max(first[1], second[1])
    return None


def _find_figure(
    figures: Sequence[tuple[_Figure, int]], own: frozenset[str], other: frozenset[str]
) -> tuple[_Figure, int] | None:
    """Find the one figure that stands with the words of this side and not with those of the other."""
    ranked = sorted(
        ((len(own & figure.words) - len(other & figure.words), figure, at) for figure, at in figures),
        key=lambda item: -item[0],
    )
    best = [item for item in ranked if item[0] == ranked[0][0]]
    if (
        best[0][0] <= 0
        or 2 * len(own & best[0][1].words) < len(own)
        or len({figure.value for _, figure, _ in best}) > 1
    ):
        return None
    return best[0][1], best[0][2]


def _read_figures(sentence: str) -> Iterator[_Figure]:
    """Read a sentence's figures, each with the words of its part of the sentence."""
    start = 0
    for end in [*(match.start() for match in _END.finditer(sentence)), len(sentence)]:
        part = sentence[start:end]
        words = _name(part)
        for match in _FIGURE.finditer(part):
            money, digits, percent, scale, after = match.groups()
            unit = money or percent or (after or "").lower().removesuffix("s")
            unit = _PLURALS.get(unit, unit)
            if (
                _YEAR.match(digits)
                and not money
                and not percent
                and not scale
                and unit not in {"m", "kg", "km", "g"}
            ):
                unit = "year"
            if unit:
                yield _Figure(
                    float(digits.replace(",", "")) * _SCALES.get((scale or "").lower(), 1), unit, words
                )
        start = end
