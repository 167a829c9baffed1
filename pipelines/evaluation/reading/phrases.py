"""Whether an answer in words says its reference: the words in a row, asserted and as the only possibility.

Marks that change a word count ("C++" is not "C", "1.5" is not "15"); how a number, a date, a time, a price or
a range is written does not. Yes and no are read from the sentence where neither word is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.denials import is_denied, is_open
from pipelines.evaluation.reading.number_words import write_digits
from pipelines.evaluation.reading.numerals import unify_numerals
from pipelines.evaluation.reading.text import normalise
from pipelines.sentences import sentences

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
        r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<month>[^\W\d]{3,10})\.?,?\s+(?P<year>\d{4})\b"
    ),
    re.compile(
        r"\b(?P<month>[^\W\d]{3,10})\.?\s+(?:the\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})\b"
    ),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
    re.compile(r"\b(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4})\b"),
)
_TIME = re.compile(
    r"\b(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?\s?m\b\.?|\b(\d{1,2})[:.](\d{2})\s*(?:h\b|Uhr\b|o'clock)?",
    re.IGNORECASE,
)
_PRICE = re.compile(
    r"(?:US)?\$\s?(\d+(?:\.\d+)?)|\u20ac\s?(\d+(?:\.\d+)?)|\u00a3\s?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s?(\$|\u20ac|\u00a3)"
)
_COINS = {"$": "dollars", "\u20ac": "euros", "\u00a3": "pounds"}
_RANGE = re.compile(
    r"\b(?:between|from)\s+(\d+(?:\.\d+)?)\s*(?:[^\W\d]+\s+)?(?:and|to)\s+(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*(?:-|\u2013|\bto\b)\s*(\d+(?:\.\d+)?)"
)
_TOKEN = re.compile(r"\d+(?:\.\d+)*[a-z]*|[^\W\d_][\w']*(?:\+\+|\+|#)?|\d\w*", re.UNICODE)
_NAMES_TOO = frozenset({"May", "March", "Will", "Mark"})
_MODAL = re.compile(r"\b(?:may|march|will|mark)\b")
_ARTICLES = frozenset({"a", "an", "the"})
_EMPTY = frozenset({"who", "which", "what", "where", "when", "how", "it", "that", "this"})
_YES = re.compile(r"\W*(?:yes|yeah|yep|correct|true|indeed)\b", re.IGNORECASE)
_NO = re.compile(r"\W*(?:no|nope|false)\b(?!\s+(?:one|longer)\b)", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:not|never|cannot|none|neither|no)\b|n't\b", re.IGNORECASE)
_AFFIRMS = re.compile(
    r"^\W*(?:\w+\s+){0,4}?(?:do|does|did|is|are|was|were|can|may|has|have|will)\b", re.IGNORECASE
)
_LIST = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*")
_QUESTION = re.compile(r"\?\W*$")
_EARLIER = re.compile(r"\b(?:before|after|until|since|by)\s+(?:the\s+)?$", re.IGNORECASE)


def states_reference(answer: str, references: Sequence[str]) -> float:
    """Return 1 where the answer asserts one of the references, else 0: the inclusion of RGB (Chen et al.
    2024) without what is denied ("not Paris") or left open ("Paris or Lyon").

    It forgives a sentence around the answer. Without a reference the right answer is the empty one.
    """
    if not any(normalise(reference) or reference.strip() for reference in references):
        return float(not normalise(answer))
    if any(reference.strip() in _NAMES_TOO for reference in references) and answer != answer.lower():
        answer = _MODAL.sub("might", answer)
    text = unify_words(answer)
    return float(any(_states(text, reference.strip()) for reference in references if reference.strip()))


def unify_words(text: str) -> str:
    """Write the numbers, dates, times, prices and ranges of a text in one way, in lower case."""
    text = unify_numerals(strip_markers(text).replace("\u2019", "'").replace("`", " "))
    text = write_digits(text, ordinals=True).lower()
    for pattern in _DATES:
        text = pattern.sub(_write_date, text)
    text = _TIME.sub(_write_time, text)
    text = _PRICE.sub(_write_price, text)
    text = _RANGE.sub(lambda match: "{} through {}".format(*filter(None, match.groups())), text)
    return " ".join(text.split())


def tokenise(text: str) -> list[str]:
    """Split unified text into words, without articles."""
    return [token for token in _TOKEN.findall(text) if token not in _ARTICLES]


def _states(text: str, reference: str) -> bool:
    if normalise(reference) in {"yes", "no"}:
        return _read_yes_or_no(text) == normalise(reference)
    wanted = unify_words(reference)
    if any(not is_denied(text, *place) and not is_open(text, *place) and not _is_apart(text, *place, wanted)
           for place in _find_phrase(text, wanted)):  # fmt: skip
        return True
    parts = _LIST.split(wanted)
    return (
        len(parts) > 1
        and not any(character.isdigit() for character in wanted)
        and all(any(_is_plain(text, place) for place in _find_phrase(text, part)) for part in parts)
    )


def _is_plain(text: str, place: tuple[int, int]) -> bool:
    return not is_denied(text, *place) and not is_open(text, *place)


def _is_apart(text: str, start: int, end: int, wanted: str) -> bool:
    """Tell whether the words belong to something else: a question, "before 1922"."""
    sentence = next((part for part in sentences(text) if part.start <= start < part.end), None)
    if sentence is not None and _QUESTION.search(sentence.text):
        return len(sentences(text)) > 1 or wanted in _EMPTY
    return wanted[:1].isdigit() and _EARLIER.search(text[:start]) is not None


def _find_phrase(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Find the places where the wanted words stand in a row, whatever articles and marks are between."""
    words = tokenise(wanted)
    if all(word in _EMPTY for word in words):
        words = _TOKEN.findall(wanted)  # "The Who" is not any "who"
    held = list(_TOKEN.finditer(text))
    if not set(words) & {"a", "an", "the"}:
        held = [match for match in held if match.group() not in _ARTICLES]
    forms = [_strip_apostrophe(match.group()) for match in held]
    sought = [_strip_apostrophe(word) for word in words]
    if not sought:
        at = text.find(wanted)
        if wanted and at >= 0:
            yield at, at + len(wanted)
        return
    for at in range(len(forms) - len(sought) + 1):
        if forms[at : at + len(sought)] == sought:
            start, end = held[at].start(), held[at + len(sought) - 1].end()
            if not _is_joined(text, start, end):
                yield start, end


def _strip_apostrophe(word: str) -> str:
    if re.fullmatch(r"v\d[\d.]*", word):
        return word[1:]
    return word.removesuffix("'s").replace("'", "")


def _is_joined(text: str, start: int, end: int) -> bool:
    """Tell whether a hyphen or a point makes the words a part of a longer one: "Objective-C", "2.1.5"."""
    return (
        re.search(r"[\w+#][-.]$", text[:start]) is not None
        or re.match(r"[-+#]\w|\.\d|#|\+(?<!\d\+)", text[end - 1 :][1:]) is not None
    )


def _read_yes_or_no(text: str) -> str:
    """The yes or no that an answer begins with, else "no" of a denial, "yes" of an affirmation; or
    nothing."""
    if _YES.match(text):
        return "yes"
    if _NO.match(text):
        return "no"
    spoken = set(re.findall(r"\b(yes|no)\b", text))
    if len(spoken) == 1 and not _DENIES.search(re.sub(r"\bno\b", "", text)):
        return str(spoken.pop())
    if _DENIES.search(text):
        return "no"
    return "yes" if _AFFIRMS.match(text) else ""


def _write_date(match: re.Match[str]) -> str:
    month = match.group("month")
    number = int(month) if month.isdigit() else _MONTH.get(month[:4], _MONTH.get(month[:3], 0))
    day = int(match.group("day"))
    if not 1 <= number <= 12 or not 1 <= day <= 31:
        return match.group()
    return f"{int(match.group('year'))}d{number:02}d{day:02}"


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
