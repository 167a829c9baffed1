"""Brings the numbers of a text into one way of writing: 1234567.5, -5, 1/2, whatever the script or country.

Thousands separators, decimal commas, LaTeX, other scripts' digits, superscripts, fraction signs, minus signs.
Pure.
"""

from __future__ import annotations

import re
import unicodedata

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
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile(r"(?<=[\d)])([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_SIGNED_FRACTION = re.compile(r"(\d)?\s?([\u00bc-\u00be\u2150-\u215e])")
_RANGE = re.compile(r"(?<=\d)\s?[\u2013\u2014](?=\s?\d)")
_SPACED = re.compile(
    r"(?<![\d.,])\d{1,3}(?:[ \u00a0]\d{3}){2,}(?![\d])|(?<![\d.,])\d{1,3}(?: \d{3})+(?=,\d{1,2}(?!\d))"
)
_WRITTEN = re.compile(r"(?<![\w.,({\[])\d[\d.,]*\d(?![\w]*[({])")
_PRICE = re.compile(r"(?<=\d)[,.](?:-|\u2013|\u2014)(?!\d)")
_POWER = re.compile(r"(?<![\w.^*\u00d7])(?<![*\u00d7]\s)(\d+)\s?\^\s?\{?(-?\d{1,2})\}?(?![\w.])")


def unify_numerals(text: str) -> str:
    """Rewrite every number of a text in one way, and leave the rest as it is."""
    text = _SUPERSCRIPT.sub(lambda match: "^" + match.group(1).translate(_SUPERSCRIPTS), text)
    text = _SIGNED_FRACTION.sub(_read_fraction_sign, text)
    text = "".join(_to_ascii_digit(character) for character in text)
    text = _RANGE.sub("\u2014", text)  # kept apart from a minus sign
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = _SPACED.sub(lambda match: re.sub(r"\s", "", match.group()), text)
    text = _PRICE.sub("", text)
    return _WRITTEN.sub(lambda match: _unify_separators(match.group()), text).replace("\u2014", "-")


def compute_powers(text: str) -> str:
    """Write plain powers as their value: "10^6" as 1000000. Those over 10^15 stay."""
    return _POWER.sub(_compute_power, text)


def _compute_power(match: re.Match[str]) -> str:
    base, power = int(match.group(1)), int(match.group(2))
    if power < 0 or base > 10**6 or (base > 1 and power * len(match.group(1)) > 15):
        return match.group()
    value = base**power
    return str(value) if value <= 10**15 else match.group()


def _to_ascii_digit(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    return {"\uff0e": ".", "\uff0c": ",", "\uff05": "%", "\u066b": ".", "\u066c": ",", "\uff0d": "-"}.get(
        character, character
    )


def _read_fraction_sign(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match.group(2)).partition("\u2044")
    return f"{match.group(1) or ''} {top}/{bottom}"


def _unify_separators(number: str) -> str:
    """A number without thousands separators, with a decimal point: "1.000,5" and "1,000.5" are 1000.5."""
    commas, points = number.count(","), number.count(".")
    if commas and points:
        decimal = max(number.rfind(","), number.rfind("."))
        whole, mark, rest = number[:decimal], number[decimal], number[decimal + 1 :]
        if mark in whole or not re.fullmatch(r"\d{1,3}(?:[.,]\d{2,3})*", whole):
            return number
        return re.sub(r"[.,]", "", whole) + "." + rest
    if commas + points > 1:
        grouped = re.fullmatch(r"\d{1,3}(?:[.,]\d{2,3})*[.,]\d{3}", number)
        return re.sub(r"[.,]", "", number) if grouped else number
    if commas:
        whole, _, rest = number.partition(",")
        if len(rest) == 3 and len(whole) <= 3 and whole != "0":
            return whole + rest
        return f"{whole}.{rest}"
    return number
