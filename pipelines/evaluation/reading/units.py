"""The units that a number comes in, and the one that a question asks for: 1.5 hours are 90 minutes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_UNITS: Mapping[str, tuple[str, float, str]] = {
    "millimetre": ("length", 1e-3, r"mm|milli?met(?:er|re)s?"),
    "centimetre": ("length", 1e-2, r"cm|centi?met(?:er|re)s?"),
    "kilometre": ("length", 1e3, r"km|kilomet(?:er|re)s?"),
    "metre": ("length", 1.0, r"m|met(?:er|re)s?|Metern?"),
    "mile": ("length", 1609.344, r"miles?"),
    "yard": ("length", 0.9144, r"yards?|yd"),
    "foot": ("length", 0.3048, r"feet|foot|ft"),
    "inch": ("length", 0.0254, r"inch(?:es)?"),
    "pound": ("mass", 0.45359237, r"pounds?|lbs?"),
    "ounce": ("mass", 0.028349523125, r"ounces?|oz"),
    "celsius": ("temperature", 1.0, r"(?:\u00b0\s?|degrees?\s+)?C(?:elsius)?|(?:degrees?\s+)?[Cc]entigrade"),
    "fahrenheit": ("temperature", 5 / 9, r"(?:\u00b0\s?|degrees?\s+)?F(?:ahrenheit)?"),
    "kelvin": ("temperature", 1.0, r"K|kelvins?"),
    "milligram": ("mass", 1e-6, r"mg|milligram(?:me)?s?"),
    "kilogram": ("mass", 1.0, r"kg|kilos?|kilogram(?:me|m)?s?"),
    "gram": ("mass", 1e-3, r"g|gram(?:me|m)?s?"),
    "tonne": ("mass", 1e3, r"t|tonn?e?s?|Tonnen"),
    "second": ("time", 1.0, r"s|secs?|seconds?|Sekunden?"),
    "minute": ("time", 60.0, r"mins?|minutes?|Minuten?"),
    "hour": ("time", 3600.0, r"h|hrs?|hours?|Stunden?|heures?"),
    "day": ("time", 86400.0, r"days?|Tagen?|jours?"),
    "week": ("time", 604800.0, r"weeks?|Wochen?|semaines?"),
    "month": ("age", 1 / 12, r"months?|Monaten?|mois"),
    "year": ("age", 1.0, r"years?|yrs?|Jahren?|ans|a\u00f1os"),
    "millilitre": ("volume", 1e-3, r"ml|millilit(?:er|re)s?"),
    "litre": ("volume", 1.0, r"l|lit(?:er|re)s?"),
    "gallon": ("volume", 3.785411784, r"gallons?"),
    "pint": ("volume", 0.473176473, r"pints?"),
    "square_kilometre": ("area", 1e6, r"km\u00b2|km\^2|square\s+kilomet(?:er|re)s?"),
    "square_metre": ("area", 1.0, r"m\u00b2|m\^2|sqm|square\s+met(?:er|re)s?"),
    "hectare": ("area", 1e4, r"ha|hectares?"),
    "acre": ("area", 4046.8564224, r"acres?"),
    "kilobyte": ("data", 1e3, r"kB|KB|kilobytes?"),
    "megabyte": ("data", 1e6, r"MB|megabytes?"),
    "gigabyte": ("data", 1e9, r"GB|gigabytes?"),
    "cent": ("money", 0.01, r"cents?|ct"),
    "coin": ("money", 1.0, r"euros?|EUR|\u20ac|dollars?|USD|\$|crowns?"),
}
_ZERO = {"fahrenheit": -160 / 9, "kelvin": -273.15}
"""Degrees Celsius at the zero of a scale."""
_NAMES = "|".join(f"(?P<{name}>{pattern})" for name, (_, _, pattern) in _UNITS.items())
UNIT_AFTER = re.compile(rf"(?:\s*of\s+an?\s|[\s-])?(?:{_NAMES})(?![\w\u00b2\u00b3^/])")
_ASKED = re.compile(
    rf"\b(?:in|how\s+many|number\s+of|weight\s+in)\s+(?:(?!what\b|which\b)\w+\s+)?(?:{_NAMES})(?![\w/])",
    re.IGNORECASE,
)
_HOW_OLD = re.compile(r"\bhow\s+old\b", re.IGNORECASE)
_HOW_MANY = re.compile(
    r"\b(?:how\s+many|number\s+of)\s+(?:of\s+(?:the|its|his|her|their)\s+)?([a-z]+)", re.IGNORECASE
)


def unit_of(match: re.Match[str]) -> str:
    """The name of the unit that `UNIT_AFTER` found."""
    return next(name for name, value in match.groupdict().items() if value is not None and name in _UNITS)


def find_asked_unit(question: str) -> str | None:
    """Find the unit that a question wants its answer in; None where it names none."""
    match = _ASKED.search(question)
    if match is not None and len(match.group(unit_of(match))) > 1:
        return unit_of(match)
    return "year" if _HOW_OLD.search(question) else None


def find_counted(question: str) -> str | None:
    """Find what a question counts, cut to its stem: "sister" of "How many sisters does he have?"."""
    match = _HOW_MANY.search(question)
    return match.group(1).lower().rstrip("s") if match is not None else None


def convert(value: float, unit: str, asked: str) -> float | None:
    """Convert a value to another unit of its kind; None where the two are of different kinds."""
    (kind, factor, _), (wanted, divisor, _) = _UNITS[unit], _UNITS[asked]
    if kind != wanted:
        return None
    return (value * factor + _ZERO.get(unit, 0.0) - _ZERO.get(asked, 0.0)) / divisor


def measures(unit: str) -> bool:
    """Tell whether a unit measures a thing, which a count of things does not."""
    return _UNITS[unit][0] in {"length", "mass", "volume", "area", "data", "temperature"}


def continues(unit: str, following: str) -> bool:
    """Tell whether a value in the second unit adds to one in the first: "1 hour 30 minutes"."""
    (kind, factor, _), (other, smaller, _) = _UNITS[unit], _UNITS[following]
    return kind == other and smaller < factor
