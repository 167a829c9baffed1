"""The filter grammar, once for every backend: a passage's terms, and the terms that a filter wants.

A term is the canonical text of one `key = value` fact. A passage is stored with all of its terms in one
indexed keyword field, so each backend needs only "has any of these terms" and "has none of these", types
never get mixed up (`True`, `1` and `"1"` are three values; `2` and `2.0` one) and no key needs to be quoted
as a path.

Numbers have more terms, so that a range is "has any of these terms" like every other filter. A number is 16
hexadecimal digits that sort as numbers do, and is stored as the 16 prefixes of them. A range is covered by
the few prefixes under which every number is inside (tries, as in Schindler and Diepenbroek, 2008): at most
15 for each digit of each end. A text that is a date of ISO 8601 has such terms too, of its seconds, under a
sign of their own, so that ranges of dates and of numbers never mix.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import JSONEncoder

from services.core.errors import InvalidRequest
from services.core.wire.base import Filter, Scalar
from services.core.wire.passages import Passage

FILTER_FIELDS = ("document_id", "title", "section", "page")
"""Fields of a passage that a filter can name; any other key is one of `metadata`."""

LONGEST_TERM = 256
"""In bytes of UTF-8. A longer one (a filter on a long text) is stored as its hash: a small index."""

DIGITS = 16
_SIGN = 1 << 63
_ALL = (1 << 64) - 1

_OF_NUMBERS, _OF_DATES = "#", "@"
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:$|[T ]\d)")

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class TermFilter:
    """A passage matches where it has at least one term of each of `all_of`, and none of `none_of`."""

    all_of: list[list[str]] = field(default_factory=list)
    none_of: list[str] = field(default_factory=list)

    @property
    def impossible(self) -> bool:
        """True where no passage can match: an empty list of values, or an empty range."""
        return any(not terms for terms in self.all_of)

    def __bool__(self) -> bool:
        """True where there is anything that a passage must be."""
        return bool(self.all_of or self.none_of)


def list_terms(passage: Passage) -> list[str]:
    """List every term of a passage. A metadata key that is also a field's name is hidden by the field."""
    facts: list[tuple[str, Scalar | list[str] | None]] = [
        ("document_id", passage.document_id),
        ("title", passage.title),
        ("section", passage.section),
        ("page", passage.page),
        *((key, value) for key, value in passage.metadata.items() if key not in FILTER_FIELDS),
    ]
    single = [(key, value) for key, values in facts for value in _iterate_values(values)]
    terms = [_value_term(key, value) for key, value in single]
    for key, value in single:
        if isinstance(value, int | float) and not isinstance(value, bool):
            terms += [_prefix_term(key, prefix) for prefix in list_prefixes(value)]
        elif (seconds := read_date(value)) is not None:
            terms += [_prefix_term(key, prefix, _OF_DATES) for prefix in list_prefixes(seconds)]
    return list(dict.fromkeys(terms))


def parse_filter(where: Filter | None) -> TermFilter:
    """Turn a request's filter into terms.

    Raises:
        InvalidRequest: A condition cannot be understood; it names the key.
    """
    all_of: list[list[str]] = []
    none_of: list[str] = []
    for key, condition in (where or {}).items():
        if not isinstance(condition, dict):
            all_of.append([_value_term(key, value) for value in _iterate_values(condition)])
            continue
        dates = {name: read_date(bound) for name, bound in condition.items() if name != "not"}
        is_dates = bool(dates) and None not in dates.values()
        bounds = {
            name: seconds if is_dates and seconds is not None else _check_bound(key, name, condition[name])
            for name, seconds in dates.items()
        }
        if "not" in condition:
            none_of += [_value_term(key, value) for value in _iterate_values(condition["not"])]
        elif not bounds:
            raise InvalidRequest(f"filter: {key!r} has no condition: give gte, gt, lte, lt or not")
        if bounds:
            sign = _OF_DATES if is_dates else _OF_NUMBERS
            all_of.append([_prefix_term(key, prefix, sign) for prefix in cover_range(**bounds)])
    return TermFilter(all_of, none_of)


def list_prefixes(value: float) -> list[str]:
    """List the prefixes, of all lengths, of a number's sortable digits."""
    digits = f"{to_sortable(value):016x}"
    return [digits[:length] for length in range(1, DIGITS + 1)]


def cover_range(
    *,
    gte: float | None = None,
    gt: float | None = None,
    lte: float | None = None,
    lt: float | None = None,
) -> list[str]:
    """List the prefixes that all numbers within the bounds have, and no other; none for an empty range."""
    low = max(to_sortable(-math.inf if gte is None else gte), 0 if gt is None else to_sortable(gt) + 1)
    high = min(to_sortable(math.inf if lte is None else lte), _ALL if lt is None else to_sortable(lt) - 1)
    return list(_cover("", low, high))


def to_sortable(value: float) -> int:
    """Turn a number into an unsigned 64-bit one; these are in the order of the values as 64-bit floats."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))
    return int(bits ^ (_ALL if bits & _SIGN else _SIGN))


def _cover(prefix: str, low: int, high: int) -> Iterator[str]:
    for digit in "0123456789abcdef":
        longer = prefix + digit
        bits = 4 * (DIGITS - len(longer))
        first = int(longer, 16) << bits
        last = first | ((1 << bits) - 1)
        if low <= first and last <= high:
            yield longer
        elif first <= high and last >= low:
            yield from _cover(longer, low, high)


def _iterate_values(values: Scalar | list[str] | None) -> Iterator[Scalar]:
    if isinstance(values, list):
        yield from values
    elif values is not None:
        yield values


def _check_bound(key: str, name: str, bound: Scalar | list[str]) -> float:
    if isinstance(bound, bool | str | list) or not math.isfinite(bound):
        raise InvalidRequest(
            f"filter: {key!r}: {name} takes a number, not {bound!r}; or dates such as 2026-03-31, in all"
        )
    return bound


def _value_term(key: str, value: Scalar) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(f"{key!r}: {value} is not a number that can be stored or matched")
        value = int(value) if value.is_integer() and abs(value) < 2**63 else value
    if not isinstance(value, bool) and isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidRequest(f"{key!r}: the integer {value} does not fit in 64 bits; send it as a string")
    return _encode_term([key, value])


def read_date(value: Scalar | list[str]) -> float | None:
    """Read a day or a moment of ISO 8601, in seconds since 1970; without a zone it is UTC's."""
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None


def _prefix_term(key: str, prefix: str, sign: str = _OF_NUMBERS) -> str:
    """Build the term of a number's or a date's prefix, in three parts: it is never the term of a value."""
    return _encode_term([key, sign, prefix])


def _encode_term(parts: list[Scalar]) -> str:
    text = _encode(parts)
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{parts[0]!r}: the text is not valid Unicode ({error.reason})") from None
    return text if len(encoded) <= LONGEST_TERM else "sha256:" + hashlib.sha256(encoded).hexdigest()
