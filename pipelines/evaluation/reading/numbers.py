r"""The number that an answer comes to, and whether it is the right one.

The number is taken from what the answer announces (\boxed{}, "####" as in GSM8K, Cobbe et al. 2021, "the
answer is"), else the last number of the answer: the "flexible-extract" of the LM Evaluation Harness (Gao et
al. 2024).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from pipelines.evaluation.reading.text import find_announced_answer, strip_reasoning

RELATIVE = 1e-6
ABSOLUTE = 1e-9

_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>(?<![\w)])[-+]\s?)?(?:[$€£]\s?)?(?P<minus>-)?"
    rf"(?:(?P<whole>\d+)\s+(?P<top>\d+)/(?P<bottom>\d+)|(?P<over>{_DIGITS})\s*/\s*(?P<under>{_DIGITS})"
    rf"|(?P<plain>{_DIGITS})(?:[eE](?P<power>[-+]?\d+)|\s*[*\u00d7]\s*10\^\{{?(?P<ten>[-+]?\d+)\}}?)?)"
    r"(?!\d)\s?(?P<percent>%|percent\b)?"
)
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}"), r" \1/\2 "),
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r" \1/\2 "),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!,?|[\u00a0\u2009\u202f'\u2019])(?=\d{3})"), ","),
    (re.compile(r"\\times|\\cdot"), "\u00d7"),
    (re.compile(r"\\text\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\\$"), "$"),
    (re.compile(r"[\u2212\u2013](?=\s?[\d.$])"), "-"),
    (re.compile(r"\\[()\[\]]|(?<!\d)\$(?=[^\d])|\$$"), " "),
)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_ASIDE = re.compile(r"\([^()\n]*\s[^()\n]*\)")
_WORDS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"none": 0, "nobody": 0, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "half": 0.5}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """`value` as written; with `percent` it may stand for a hundredth of it as well."""

    value: float
    percent: bool = False


def find_numbers(text: str) -> list[Number]:
    """Find every number of a text in order: thousands separators, fractions, powers of ten, percent,
    LaTeX."""
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return [number for match in _NUMBER.finditer(text) if (number := _read_match(match)) is not None]


def find_final_number(answer: str) -> Number | None:
    """Find the number that the answer comes to; None where it names none, not even in words."""
    announced = find_announced_answer(answer)
    if announced is not None and (found := _first_number(announced)) is not None:
        return found
    plain = strip_reasoning(answer)
    # what is in bold is meant, what is in brackets is an aside
    for scope in (" ".join(_BOLD.findall(plain)), _ASIDE.sub(" ", plain), plain):
        found_all = find_numbers(scope)
        if found_all:
            return found_all[-1]
    words = _WORD.findall(plain)
    return Number(_WORDS[words[-1].lower()]) if words else None


def number_matches(
    answer: str, reference: str, *, relative: float = RELATIVE, absolute: float = ABSOLUTE
) -> float:
    """Return 1 where the answer comes to the reference's number, else 0.

    Equal within `relative` or `absolute`, whichever allows more. "50 %" is 50 and 0.5, on either side.
    """
    expected, actual = find_final_number(reference), find_final_number(answer)
    if expected is None or actual is None:
        return 0.0
    return float(
        any(
            math.isclose(one, other, rel_tol=relative, abs_tol=absolute)
            for one in _possible_values(expected)
            for other in _possible_values(actual)
        )
    )


def _first_number(announced: str) -> Number | None:
    """Read the number of an announced answer: after the last "=" where it calculates, else its first."""
    numbers = find_numbers(announced.rsplit("=", 1)[-1]) or find_numbers(announced)
    if numbers:
        return numbers[0]
    word = _WORD.search(announced)
    return Number(_WORDS[word.group().lower()]) if word else None


def _possible_values(number: Number) -> tuple[float, ...]:
    return (number.value, number.value / 100) if number.percent else (number.value,)


def _read_match(match: re.Match[str]) -> Number | None:
    part = match.groupdict()
    try:
        if part["whole"] is not None:
            value = float(int(part["whole"]) + Fraction(int(part["top"]), int(part["bottom"])))
        elif part["over"] is not None:
            value = _to_float(part["over"]) / _to_float(part["under"])
        else:
            value = _to_float(part["plain"]) * 10.0 ** int(part["power"] or part["ten"] or 0)
    except (ZeroDivisionError, OverflowError):
        return None
    negative = (part["sign"] or "").strip() == "-" or part["minus"] is not None
    return Number(-value if negative else value, percent=part["percent"] is not None)


def _to_float(digits: str) -> float:
    return float(digits.replace(",", ""))
