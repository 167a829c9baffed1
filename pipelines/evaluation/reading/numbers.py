r"""The number that an answer comes to, and whether it is the right one.

The number is taken from what the answer announces (\boxed{}, "####" as in GSM8K, Cobbe et al. 2021, "the
answer is"), else from what is in bold, else from the last sentence with a number: there the one beside the
words of the question, else the last, the "flexible-extract" of the LM Evaluation Harness (Gao et al. 2024).
What is denied ("not 42") is no candidate, and a bound or a range is no number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pipelines.evaluation.reading.bounds import is_settled
from pipelines.evaluation.reading.denials import is_denied
from pipelines.evaluation.reading.events import speaks_of_another_event, unify_verbs
from pipelines.evaluation.reading.number_text import SHARE, YEAR, prepare
from pipelines.evaluation.reading.numerals import unify_numerals
from pipelines.evaluation.reading.text import find_announced_answer, read_without_thinking
from pipelines.evaluation.reading.units import (
    UNIT_AFTER,
    continues,
    convert,
    find_asked_unit,
    find_counted,
    measures,
    unit_of,
)
from pipelines.sentences import content_words, sentences

RELATIVE = 1e-6
ABSOLUTE = 1e-9

_DIGITS = r"\d+(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>(?<![\w)])[-+]\s?)?(?:(?:US)?[$€£]\s?)?(?P<minus>-)?"
    rf"(?:(?P<whole>\d+)\s+(?P<top>\d+)/(?P<bottom>\d+)|(?P<over>{_DIGITS})\s*/\s*(?P<under>{_DIGITS})"
    rf"|(?P<plain>{_DIGITS})(?:[eE](?P<power>[-+]?\d+)|\s*[*\u00d7]\s*10\^\{{?(?P<ten>[-+]?\d+)\}}?)?)"
    r"(?!\d)(?P<scale>\s?(?:thousand|millions?|billions?|trillions?|Million(?:en)?|Mio\.?|Milliarden?|milliards?|"
    r"tausend|mille|million[ie]|mil\b|k\b|lakhs?|crores?|M\b|mn\b|mln\b|bn\b|万|萬|亿|億)(?!\w))?\s?(?P<percent>%|per\s?cent\b|Prozent\b|pour\s?cent\b)?"
)
_SCALES = {
    "thousand": 1e3, "tausend": 1e3, "mille": 1e3, "lakh": 1e5, "crore": 1e7, "mil": 1e3, "k": 1e3,
    "million": 1e6, "mio": 1e6, "m": 1e6, "mn": 1e6, "mln": 1e6,
    "bn": 1e9, "billion": 1e9, "milliard": 1e9, "trillion": 1e12,
    "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8,
}  # fmt: skip
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_ASIDE = re.compile(r"\([^()\n]*\s[^()\n]*\)")
_BULLET = re.compile(r"^\s*(?:\d+[.)]|step\s+\d+\s*:)\s+(?=\S.*)", re.IGNORECASE | re.MULTILINE)
_SHARE_OF = re.compile(r"\b(?:out\s+)?of\s+(?:(?:the|these|those|all|a\s+total\s+of)\s+)?$", re.IGNORECASE)
_OF_ALL = re.compile(r"\W*(?:out\s+)?of\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(?:percent\w*|per\s+cent)\b|%", re.IGNORECASE)
_LOWERED = re.compile(
    r"\b(?:fell|fallen|dropp?e?d?|decreas\w*|declin\w*|lost|down|lower|shrank|sank)\b", re.IGNORECASE
)
_LEADING = re.compile(r"\W*\Z")
_EXPLAINED = re.compile(
    r"\s*[\w%]*\s*[,;(:\u2013\u2014]\s*(?:i\.e\b|that\s+is\b|namely\b|or\s+rather\b|since\b|as\b|because\b|of\s+which\b|including\b)"
)
_CONCLUDES = re.compile(
    r"=|\b(?:so|thus|hence|therefore|total|in\s+all|altogether|gives?|leaves?|makes?|equals?|but|then|(?:that|which)\s+is|i\.e)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:]|\band\b|\bbut\b")


@dataclass(frozen=True, slots=True)
class Number:
    """`value` as written; with `percent` it may stand for a hundredth of it as well.

    `counted` is the "2" of "2/4".
    """

    value: float
    percent: bool = False
    counted: float | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A number and where it stands; `settled` unless it is a bound, a range, or one of several."""

    number: Number
    start: int
    end: int
    settled: bool
    unit: str | None


def find_numbers(text: str) -> list[Number]:
    """Find every number of a text in order: thousands separators, fractions, powers of ten, percent,
    LaTeX."""
    matches = _NUMBER.finditer(unify_numerals(text))
    return [number for match in matches if (number := _read_match(match)) is not None]


def find_final_number(answer: str, question: str = "") -> Number | None:
    """Find the number that the answer comes to; None where it names none, not even in words, or several.

    Args:
        answer: The answer's text.
        question: Decides between several numbers, and about units: the value is in the question's unit.
    """
    announced = find_announced_answer(answer)
    if announced is not None:
        for scope in (announced.rsplit("=", 1)[-1], announced):
            places = _find_places(scope, question)
            if places:
                return _settle(scope, places, question, first=True)
    plain = read_without_thinking(answer)
    # what is in bold is meant, what is in brackets is an aside
    for scope in (" ".join(_BOLD.findall(plain)), _ASIDE.sub(" ", plain), plain):
        parts = [sentence.text for sentence in sentences(_BULLET.sub("", scope))] or [scope]
        for part in reversed(parts):
            places = _find_places(part, question)
            if places:
                return _settle(
                    part, places, question, first=len(parts) == 1 and _CONCLUDES.search(part) is None
                )
    return None


def number_matches(
    answer: str, reference: str, question: str = "", *, relative: float = RELATIVE, absolute: float = ABSOLUTE
) -> float:
    """Return 1 where the answer comes to the reference's number, else 0.

    Equal within `relative` or `absolute`, whichever allows more. "50 %" is 50 and 0.5, on either side.
    """
    expected, actual = find_final_number(reference), find_final_number(answer, question)
    if expected is None or actual is None:
        return 0.0
    others = [actual.counted] if actual.counted and find_counted(question) and expected.value % 1 == 0 else []
    if _PERCENT.search(question) and not actual.percent and 0 <= actual.value <= 1:
        others.append(100 * actual.value)
    if expected.value < 0 and _LOWERED.search(answer):
        others.append(-actual.value)
    if actual.percent and not expected.percent and find_counted(question) and not SHARE.search(question):
        return 0.0
    in_millions = re.search(r"\bin\s+(millions|billions|thousands)\b", question)
    scale = _SCALES[in_millions.group(1)[:-1]] if in_millions else 1.0
    return float(
        any(
            math.isclose(one, other, rel_tol=relative, abs_tol=absolute)
            for one in (*_possible_values(expected), *((expected.value * scale,) if in_millions else ()))
            for other in (*_possible_values(actual), *others)
        )
    )


def _find_places(text: str, question: str) -> list[_Place]:
    """Find the numbers of a text that it does not deny."""
    text = prepare(text, question)
    asked = find_asked_unit(question)
    places: list[_Place] = []
    for match in _NUMBER.finditer(text):
        number = _read_match(match)
        if number is None or is_denied(text, match.start(), match.end()):
            continue
        unit_match = UNIT_AFTER.match(text, match.end())
        unit = "coin" if match.group()[:1] in "$€" else None if unit_match is None else unit_of(unit_match)
        end = match.end() if unit_match is None else unit_match.end()
        value = number.value
        if asked is None and unit is not None and measures(unit) and find_counted(question):
            continue  # what is counted has no length
        if asked is not None and unit is not None and (converted := convert(value, unit, asked)) is not None:
            value = converted
        if YEAR.search(question) and speaks_of_another_event(
            _find_clause(text, match.start(), end), question
        ):
            continue
        place = _Place(
            Number(value, number.percent, number.counted),
            match.start(),
            end,
            is_settled(text, match.start(), match.end(), end),
            unit,
        )
        before = places[-1] if places else None
        if (
            before is not None
            and before.unit
            and unit
            and continues(before.unit, unit)
            and re.fullmatch(r"[\s,]*(?:and\s+)?", text[before.end : place.start])
        ):
            places[-1] = _Place(Number(before.number.value + value), before.start, end, before.settled, unit)
        else:
            places.append(place)
    return places


def _settle(part: str, places: Sequence[_Place], question: str, *, first: bool) -> Number | None:
    """Choose the number that is meant; None where what is left are bounds or several possibilities."""
    text = prepare(part, question)
    settled = [place for place in places if place.settled]
    if not settled:
        return None
    settled = [
        place
        for at, place in enumerate(settled)
        if not ((at or _OF_ALL.match(text[: place.start])) and _SHARE_OF.search(text[: place.start]))
    ] or settled
    if find_counted(question) and find_asked_unit(question) is None:
        # of what is counted there are no parts: "half of them, two"
        settled = [place for place in settled if place.number.value % 1 == 0] or settled
    if _LEADING.match(text[: settled[0].start]) and _EXPLAINED.match(text, settled[0].end):
        return settled[0].number
    if "=" not in text:
        settled = _match_question(text, settled, question) or settled
    return settled[0 if first else -1].number


def _match_question(text: str, places: Sequence[_Place], question: str) -> list[_Place]:
    """The numbers that stand beside what the question counts, or in the clause with most of its words."""
    asked = find_asked_unit(question)
    in_unit = [
        place for place in places if asked and place.unit and convert(1.0, place.unit, asked) is not None
    ]
    if in_unit:
        return in_unit
    counted = find_counted(question)
    if counted:
        beside = [
            place
            for place in places
            if re.match(rf"\s*(?:\w+\s+)?{re.escape(counted)}", text[place.end :], re.IGNORECASE)
        ]
        if beside:
            return beside
    if YEAR.search(question):
        years = [
            place for place in places if 1000 <= place.number.value <= 2100 and place.number.value % 1 == 0
        ]
        wanted = unify_verbs(content_words(question))
        shared = [
            len(unify_verbs(content_words(_find_clause(text, place.start, place.end))) & wanted)
            for place in years
        ]
        return [place for place, count in zip(years, shared, strict=True) if count == max(shared)]
    return []


def _find_clause(text: str, start: int, end: int) -> str:
    cuts = [0, *(match.start() for match in _CLAUSE.finditer(text)), len(text)]
    return next(text[one:other] for one, other in pairwise(cuts) if other >= end and one <= start)


def _possible_values(number: Number) -> tuple[float, ...]:
    return (number.value, number.value / 100) if number.percent else (number.value,)


def _read_match(match: re.Match[str]) -> Number | None:
    part = match.groupdict()
    counted = None
    try:
        if part["whole"] is not None:
            value = float(int(part["whole"]) + Fraction(int(part["top"]), int(part["bottom"])))
        elif part["over"] is not None:
            value = float(part["over"]) / float(part["under"])
            counted = float(part["over"]) if value < 1 else None
        else:
            value = float(part["plain"]) * 10.0 ** int(part["power"] or part["ten"] or 0)
    except (ZeroDivisionError, OverflowError):
        return None
    if part["scale"]:
        name = part["scale"].strip().lower().rstrip(".")
        value *= _SCALES[max((scale for scale in _SCALES if name.startswith(scale)), key=len)]
    negative = (part["sign"] or "").strip() == "-" or part["minus"] is not None
    return Number(-value if negative else value, part["percent"] is not None, counted)
