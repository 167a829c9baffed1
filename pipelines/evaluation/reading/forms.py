"""Writes the numbers, dates, times, prices and ranges of a text in one way, to compare them. Pure."""

from __future__ import annotations

import re

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.number_words import write_digits
from pipelines.evaluation.reading.numerals import unify_numerals

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = {month[:3]: number for number, month in enumerate(_MONTHS, start=1)} | {
    "mär": 3, "mai": 5, "okt": 10, "dez": 12, "juin": 6, "juil": 7, "fév": 2, "avr": 4, "aoû": 8, "déc": 12,
    "ene": 1, "abr": 4, "ago": 8, "dic": 12, "gen": 1, "mag": 5, "giu": 6, "lug": 7, "set": 9, "ott": 10,
    "mar": 3,
}  # fmt: skip
_DATES = (
    re.compile(
        r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?\s+(?:(?:of|de)\s+)?(?P<month>[^\W\d]{3,10})\.?,?\s+(?:(?:of|de|in)\s+)?(?P<year>\d{4})\b"
    ),
    re.compile(
        r"\b(?P<month>[^\W\d]{3,10})\.?\s+(?:the\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?:(?:of|in)\s+)?(?P<year>\d{4})\b"
    ),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
    re.compile(r"\b(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4})\b"),
)
_TIME = re.compile(
    r"\b(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?\s?m\b\.?|\b(\d{1,2})[:.](\d{2})\s*(?:h\b|Uhr\b|o'clock)?",
    re.IGNORECASE,
)
_PRICE = re.compile(
    r"(?:us)?\$\s?(\d+(?:\.\d+)?)|\u20ac\s?(\d+(?:\.\d+)?)|\u00a3\s?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s?(\$|\u20ac|\u00a3)"
)
_COINS = {"$": "dollars", "\u20ac": "euros", "\u00a3": "pounds"}
_RANGE = re.compile(
    r"\b(?:between|from)\s+(\d+(?:\.\d+)?)\s*(?:[^\W\d]+\s+)?(?:and|to)\s+(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*(?:-|\u2013|\bto\b)\s*(\d+(?:\.\d+)?)"
)
_SPOKEN_HOUR = r"(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|1[0-2]|[1-9])"
_SPOKEN_TIMES = (
    (
        re.compile(
            rf"\bhalf\s+(?:past\s+)?{_SPOKEN_HOUR}\b(?!\s*(?:a\b|of\b|the\b|dozen|million|hundred|thousand))",
            re.IGNORECASE,
        ),
        30,
    ),
    (re.compile(rf"\b(?:a\s+)?quarter\s+past\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), 15),
    (re.compile(rf"\b(?:a\s+)?quarter\s+(?:to|before|of)\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), -15),
    (re.compile(rf"\bten\s+(?:minutes\s+)?past\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), 10),
    (re.compile(rf"\btwenty\s+(?:minutes\s+)?past\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), 20),
    (re.compile(rf"\btwenty\s+(?:minutes\s+)?to\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), -20),
    (re.compile(rf"\bten\s+(?:minutes\s+)?to\s+{_SPOKEN_HOUR}\b", re.IGNORECASE), -10),
    (
        re.compile(
            r"\bhalb\s+(eins|zwei|drei|vier|f\u00fcnf|sechs|sieben|acht|neun|zehn|elf|zw\u00f6lf)\b",
            re.IGNORECASE,
        ),
        -30,
    ),
    (re.compile(rf"\b{_SPOKEN_HOUR}\s+o'?clock\b", re.IGNORECASE), 0),
    (re.compile(rf"\b{_SPOKEN_HOUR}[ -]thirty\b(?!\s*-)", re.IGNORECASE), 30),
    (re.compile(rf"\b{_SPOKEN_HOUR}[ -]fifteen\b", re.IGNORECASE), 15),
    (re.compile(rf"\b{_SPOKEN_HOUR}[ -]forty[ -]five\b", re.IGNORECASE), 45),
)
_HOURS = {
    word: hour
    for words in (
        "one two three four five six seven eight nine ten eleven twelve",
        "eins zwei drei vier f\u00fcnf sechs sieben acht neun zehn elf zw\u00f6lf",
    )
    for hour, word in enumerate(words.split(), start=1)
}
_HOURLY = re.compile(
    r"past|half|halb|quarter|clock|thirty|fifteen|forty|\b(?:ten|twenty)\s+(?:minutes\s+)?to\b", re.IGNORECASE
)
_VERSION = re.compile(r"\bv(?=\d)")
_CONTRACTED = re.compile(r"(?<=[a-z])n't\b|(?<=\bca)n't\b")


def unify_words(text: str) -> str:
    """Write the numbers, dates, times, prices and ranges of a text in one way, in lower case."""
    text = unify_numerals(strip_markers(text).replace("\u2019", "'").replace("`", " "))
    for spoken, minutes in _SPOKEN_TIMES if _HOURLY.search(text) else ():
        text = spoken.sub(lambda match, minutes=minutes: _write_spoken_time(match, minutes), text)  # type: ignore[misc]
    text = _CONTRACTED.sub(" not", write_digits(text, ordinals=True, nobody=False).lower())
    for pattern in _DATES:
        text = pattern.sub(_write_date, text)
    text = _TIME.sub(_write_time, text)
    text = _PRICE.sub(_write_price, text)
    text = _RANGE.sub(lambda match: "{} through {}".format(*filter(None, match.groups())), text)
    return " ".join(_VERSION.sub("", text).split())


def _write_date(match: re.Match[str]) -> str:
    month = match.group("month")
    number = int(month) if month.isdigit() else _MONTH.get(month[:4], _MONTH.get(month[:3], 0))
    day = int(match.group("day"))
    if not 1 <= number <= 12 or not 1 <= day <= 31:
        return match.group()
    return f"{int(match.group('year'))}d{number:02}d{day:02}"


def _write_spoken_time(match: re.Match[str], minutes: int) -> str:
    word = match.group(1).lower()
    total = (60 * (_HOURS.get(word) or int(word)) + minutes) % (12 * 60)
    return f"{total // 60 or 12}:{total % 60:02}"


def _write_time(match: re.Match[str]) -> str:
    hour, minute, half, other_hour, other_minute = match.groups()
    if half is None:
        if int(other_hour) > 23 or int(other_minute) > 59 or ":" not in match.group():
            return match.group()
        return f"{int(other_hour)}h{other_minute}"
    if not 1 <= int(hour) <= 12:
        return match.group()
    return f"{int(hour) % 12 + (12 if half.lower() == 'p' else 0)}h{minute or '00'}"


def _write_price(match: re.Match[str]) -> str:
    dollars, euros, pounds, amount, sign = match.groups()
    value = float(dollars or euros or pounds or amount)
    coin = "dollars" if dollars else "euros" if euros else "pounds" if pounds else _COINS[sign]
    return f"{value:g} {coin}"
