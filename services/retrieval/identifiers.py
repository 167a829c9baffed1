"""Identifiers in a text: part numbers, error codes, versions, acronyms, names such as C++. Pure.

An embedding model hardly tells PPR-9087 from PPR-9807, and gives a bare `E-4711` a low cosine with every
passage. So identifiers are found by their shape and compared by a key that leaves out how they are written:
`PPR-9087`, `ppr_9087`, `PPR 9087` and `PPR9087` are one. Between two digits a separator stays, because 2.31
is not 23.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.core.text import normalise

MOST = 8
"""Identifiers of a question that are looked for; a text with more of them is no question."""
LONGEST = 64

_LETTER = "A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
_PART = f"[0-9{_LETTER}]+"
_HEX = "[0-9A-Fa-f]{1,4}"
_TOKEN = re.compile(
    rf"(?:[0-9A-Fa-f]{{2}}:){{3,7}}[0-9A-Fa-f]{{2}}(?![:0-9{_LETTER}])"
    rf"|(?=[A-Fa-f:]*[0-9])(?:{_HEX}:){{1,6}}(?::{_HEX}){{1,6}}(?![:0-9{_LETTER}])"
    rf"|\.(?=NET\b){_PART}|{_PART}(?:[-_./\\&]{_PART}){{0,15}}(?:\+\+[0-9]*|#(?![0-9{_LETTER}]))?"
)
_BETWEEN = re.compile(r"[-_./\\&:]")
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(f"[{_LETTER}]+")
_LIST = re.compile(r"[/\\]")
_EXTENSION = re.compile(rf"\.[{_LETTER}]{{1,5}}[0-9]?$")
_UNIT = (
    "mm|cm|km|nm|m|kg|mg|g|t|lb|lbs|oz|in|ft|ms|ns|s|h|min|hz|khz|mhz|ghz|v|kv|mv|a|ma|w|kw|mw|mah|ah|wh|kwh|va|n"
    "|kn|pa|kpa|mpa|bar|psi|db|j|kj|k|c|f|l|ml|kb|mb|gb|tb|kib|mib|gib|px|pt|dpi|rpm|ppm|x|st|nd|rd|th|er|e|de|a|o"
)
_QUANTITY = re.compile(rf"[0-9]+(?:[.][0-9]+)?[-]?(?:{_UNIT})", re.IGNORECASE)
_UNIT_AT_END = re.compile(rf"(?<=[0-9])(?:{_UNIT})$")
_COUNTED = re.compile(r"[0-9]+(?:[.-][0-9]+)*-?[a-z]+(?:-[a-z]+)*")
_DAY, _YEAR = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:1[0-9]|20|21)[0-9]{2}"
_DATE = re.compile(rf"{_YEAR}[-./]{_DAY}[-./]{_DAY}|{_DAY}[-./]{_DAY}[-./]{_YEAR}|{_DAY}/{_DAY}/[0-9]{{1,2}}")
_PREFIX = re.compile(
    "[A-Z][A-Z0-9/]{0,7}|[\u0391-\u03a9]{2,8}|[\u0410-\u042f\u0401]{2,8}"  # Latin, Greek, Cyrillic capitals
)
_NAMES_CODE = re.compile(
    r"(?:error|err|errno|code|status|http|exit|fault|alarm|fehler|fehlercode|fehlernummer|erreur|errore|erro"
    r"|c[o\u00f3]digo|codice|\u043e\u0448\u0438\u0431\u043a[\u0430\u0438]|\u043a\u043e\u0434)"
    r"[ :#]{1,2}(?:no\. ?|nr\. ?|code )?$|\u00a7 ?$",
    re.IGNORECASE,
)
"""What stands before a short number that names something."""
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_GROUPS = re.compile(r"[0-9]+(?:[-_][0-9]+)+")
_ANY_PREFIX = re.compile(f"[0-9{_LETTER}/]{{1,12}}")
_MAY_BE_CODE = re.compile(r"[0-9]|\+\+|#|\.NET")
_PROSE = re.compile(f"(?<![{_LETTER}])[a-z\u00df-\u00ff]{{4,}}")
_ACRONYM = re.compile(r"[A-Z]{2,8}(?:[&/][A-Z]{1,8})?|(?:[A-Z]\.){1,5}[A-Z]")


@dataclass(frozen=True)
class Identifier:
    """`text` is how the question writes it, `key` how it is compared.

    A `strict` one names one thing of many that look like it, so that another's passage is no answer. One that
    is not (an acronym, a series with a year) is a rare word.
    """

    text: str
    key: str
    strict: bool

    @property
    def is_acronym(self) -> bool:
        return self.key.isalpha()


def make_key(token: str) -> str:
    """Write an identifier without case and separators; between two digits a separator is a full stop."""
    plain = token.casefold().replace("\u00d7", "x")
    parts = _BETWEEN.split(plain)
    key = parts[0]
    for part in parts[1:]:
        apart = key[-1:].isdigit() and part[:1].isdigit()
        key += f".{part}" if apart else part
    if key[:1] == "v" and key[1:2].isdigit() and "." in key:
        key = key[1:]  # v2.3.10 is version 2.3.10
    return key[:LONGEST]


def _plain(text: str) -> str:
    """Bring a text into its normal form, with the digits of every script as ASCII's."""
    plain = normalise(text)
    return plain if plain.isascii() else _OTHER_DIGIT.sub(lambda digit: str(int(digit.group())), plain)


def find_identifiers(question: str) -> list[Identifier]:
    """Find the identifiers of a question, in order, each once; at most `MOST`."""
    text = _plain(question)
    shouted = text.upper() == text and len(_WORD.findall(text)) > 3
    found: dict[str, Identifier] = {}
    tokens = list(_read_tokens(text))
    spans = [range(start, start + len(token)) for token, start, joined in tokens if joined]
    for token, start, joined in tokens:
        if not joined and any(start in span for span in spans):
            continue  # RFC and 2119 of RFC 2119
        parts = [part for part in _LIST.split(token) if is_code(part)]
        for one in parts if len(parts) > 1 else [token]:
            if joined:
                identifier = Identifier(one, make_key(one.replace(" ", "-")), strict=not _ends_in_year(one))
            elif is_code(one):
                identifier = Identifier(one, make_key(one), strict=not _is_dated(one))
            elif _is_number(one, text, start):
                identifier = Identifier(one, one, strict=True)
            elif _ACRONYM.fullmatch(one) and not shouted:
                identifier = Identifier(one, re.sub("[^A-Z]", "", one).casefold(), strict=False)
            else:
                continue
            found.setdefault(identifier.key, identifier)
    keys = list(found)
    whole = [key for key in keys if not any(key != other and key in other.split(".") for other in keys)]
    return [found[key] for key in whole][:MOST]


CUT = "~"
"""The mark of a key without the unit, or the letter, at its end: 200A is no 200V."""


def _join_groups(token: str) -> str:
    """Write groups of digits without what separates them, where they are seven digits or more together."""
    joined = re.sub("[-_]", "", token)
    return joined if len(joined) >= 7 else make_key(token)


def read_keys(text: str, *, loose: bool = True) -> set[str]:
    """Read the keys of everything in a passage that may be what a question means by an identifier.

    Args:
        loose: Whether any word with a number after it may be one, as in iPhone 15.
    """
    keys: set[str] = set()
    for token, _, _ in _read_tokens(_select_words(text), loose=loose):
        tight = token.replace(" ", "-")
        for one in {tight, *_LIST.split(tight), _EXTENSION.sub("", tight)}:
            if any(char.isdigit() or char in "+#" for char in one) or one.startswith("."):
                key = make_key(one)
                bare = _UNIT_AT_END.sub("", key)
                keys.update((key, key if bare == key else f"{bare}{CUT}"))
                if _GROUPS.fullmatch(one):
                    keys.add(_join_groups(one))
                if is_code(one):
                    keys.update(run for run in _DIGITS.findall(one) if len(run) >= 3)
    return keys


def read_terms(text: str) -> list[str]:
    """Read the keys of the codes in a text, as terms of an index."""
    terms = []
    for token, _, joined in _read_tokens(_select_words(text)):
        if joined or is_code(token):
            terms.append(make_key(token.replace(" ", "-")))
            terms += [make_key(part) for part in _LIST.split(token) if part != token and is_code(part)]
    return terms


def split_key(key: str) -> list[str]:
    """Split a key where letters and digits meet, as an index without keys has its parts."""
    return re.findall(r"[0-9]+|[^\W\d_]+", key)


def may_hold(identifier: Identifier, text: str) -> bool:
    """Whether a passage can name the identifier: it has its longest part, which is quickly seen."""
    if identifier.is_acronym or (identifier.key.isdigit() and len(identifier.key) >= 7):
        return True  # a long number may be written in groups
    parts = (_DIGITS.findall if " " in identifier.text else split_key)(identifier.key)
    return max(parts, key=len, default="") in _plain(text).lower().replace("\u00d7", "x")


def holds(identifier: Identifier, text: str, keys: set[str]) -> bool:
    """Whether a passage names the identifier; `keys` are those of its text."""
    if identifier.is_acronym:
        letters = r"[.&/]?".join(identifier.key.upper())
        return re.search(rf"(?<![A-Za-z0-9]){letters}(?![A-Za-z0-9])", normalise(text)) is not None
    key = identifier.key
    groups = _join_groups(identifier.text) if _GROUPS.fullmatch(identifier.text) else key
    wanted = {key, f"{key}{CUT}", _UNIT_AT_END.sub("", key), groups}
    head, blank, tail = identifier.text.rpartition(" ")
    if blank and (is_code(tail) or _NAMES_CODE.search(f"{head} ")):
        wanted.add(make_key(tail))  # SQLSTATE 42P01 is 42P01, HTTP 404 is 404
    return not keys.isdisjoint(wanted)


def looks_like(identifier: Identifier, key: str) -> bool:
    """Whether a key is another one of the same kind, which is easily taken for the identifier."""
    mine = identifier.key
    if key == mine or key.endswith(CUT) or not any(char.isdigit() for char in key):
        return False
    letters, digits = _WORD.findall(mine), _DIGITS.findall(mine)
    runs = _DIGITS.findall(key)
    if letters and letters == _WORD.findall(key):
        return len(runs) == len(digits) and abs(len(mine) - len(key)) <= 2
    if not letters and "." in mine:  # versions and addresses
        return key.count(".") == mine.count(".") and key.split(".", maxsplit=1)[0] == digits[0]
    if digits == runs:
        return bool(_WORD.search(key)) and len("".join(digits)) >= 3  # not every 1 is like 1
    return len(mine) == len(key) >= 4 and _differ_by(mine, key) <= 2


def is_code(token: str) -> bool:
    """Whether a word has the shape of a code: letters with digits, groups of digits, or a name like C++."""
    if token.startswith(".") or token.endswith("#") or "++" in token:
        return len(token) <= 6 or token.startswith(".")
    if ":" in token:
        return True
    digits = _DIGITS.findall(token)
    if not digits or len(token) < 3:  # A4, 3D: too short to name one thing
        return False
    return _is_mixed_code(token, digits) if _WORD.search(token) else _is_numeric_code(token, digits)


def _is_numeric_code(token: str, digits: list[str]) -> bool:
    """Whether groups of digits are a version, an address or a long number; not a date, 2.5 or 1990-1995."""
    if len(digits) < 2 or _DATE.fullmatch(token):
        return False
    is_long = sum(map(len, digits)) >= 7 and not all(map(_is_year, digits))
    return len(digits) > 2 or ("." not in token and is_long)


def _is_mixed_code(token: str, digits: list[str]) -> bool:
    """Whether letters with digits are a code; not a quantity, an ordinal, a decade, a counted word."""
    if _QUANTITY.fullmatch(token):
        return False
    is_telling = sum(map(len, digits)) >= 4 and not any(map(_is_year, digits))
    if token.startswith("0x") or is_telling:
        return True
    if _COUNTED.fullmatch(token) or (token.islower() and any(map(_is_year, digits))):
        return False
    return _PROSE.search(token) is None or any(char in "_/\\" for char in token)


def _select_words(text: str) -> str:
    """Select the words that may be codes, each with the word before it, one a line."""
    plain = " ".join(_plain(text).split())
    lines = []
    end = -1
    for match in _MAY_BE_CODE.finditer(plain):
        if match.start() < end:
            continue
        start = plain.rfind(" ", 0, match.start()) + 1
        end = plain.find(" ", match.end()) % (len(plain) + 1)
        before = plain.rfind(" ", 0, max(0, start - 1)) + 1
        lines.append(plain[before if plain[start - 2 : start - 1].isalnum() else start : end])
    return "\n".join(lines)


def _read_tokens(text: str, *, loose: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Read words with what joins them, and once more an acronym (or any word) with the number after it."""
    prefix = _ANY_PREFIX if loose else _PREFIX
    before: re.Match[str] | None = None
    for match in _TOKEN.finditer(text):
        token = match.group()
        yield token, match.start(), False
        if (
            before is not None
            and token[0].isdigit()
            and prefix.fullmatch(before.group())
            and before.group() not in {"A", "I"}
            and text[before.end() : match.start()] in {" ", "\u00a0"}
        ):
            yield f"{before.group()} {token}", before.start(), True
        before = match


def _is_number(token: str, text: str, start: int) -> bool:
    """Whether a bare number is one that names something: not a year, nor a round one, nor a part of 1,000."""
    if not token.isdigit() or re.search(r"[0-9][.,]$", text[:start][-2:]):
        return False
    if re.match(r"[.,][0-9]", text[start + len(token) :]) or _is_year(token):
        return False
    if token.startswith("0") or _NAMES_CODE.search(text, max(0, start - 24), start):
        return len(token) >= 3
    return len(token) >= 4 and not token.endswith("00")


def _is_year(token: str) -> bool:
    return len(token) == 4 and "1000" <= token <= "2100"


def _is_dated(token: str) -> bool:
    """Whether it is one of a series by years, such as Q3-2024; CVE-2024-3094 is not."""
    others = [run for run in _DIGITS.findall(token) if not _is_year(run)]
    return bool(others) and len(others) < len(_DIGITS.findall(token)) and max(map(len, others)) <= 2


def _ends_in_year(token: str) -> bool:
    return _is_year(token.rsplit(" ", 1)[-1])


def _differ_by(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))
