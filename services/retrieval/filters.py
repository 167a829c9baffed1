"""The filter grammar, once for every backend: a passage's terms, and the terms that a filter wants.

A term is the canonical text of one `key = value` fact. A passage is stored with all of its terms in one
indexed keyword field, so each backend needs only "has any of these terms" and "has none of these", types
never get mixed up (`True`, `1` and `"1"` are three values; `2` and `2.0` one) and no key needs to be quoted
as a path. Numbers have terms for ranges too (`services.retrieval.numbers`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from json import JSONEncoder

from services.core.errors import InvalidRequest
from services.core.wire.base import Filter, Scalar
from services.core.wire.passages import Passage
from services.retrieval.numbers import cover, prefixes

FIELDS = ("document_id", "title", "section", "page")
"""Fields of a passage that a filter can name; any other key is one of `metadata`."""

LONGEST_TERM = 256
"""In bytes of UTF-8. A longer one (a filter on a long text) is stored as its hash: a small index."""

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _term(key: str, value: Scalar) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(f"{key!r}: {value} is not a number that can be stored or matched")
        value = int(value) if value.is_integer() and abs(value) < 2**63 else value
    if not isinstance(value, bool) and isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidRequest(f"{key!r}: the integer {value} does not fit in 64 bits; send it as a string")
    return _short([key, value])


def _values(value: Scalar | list[str] | None) -> Iterator[Scalar]:
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def passage_terms(passage: Passage) -> list[str]:
    """Every term of a passage. A metadata key that is also a field's name is hidden by the field."""
    facts: list[tuple[str, Scalar | list[str] | None]] = [
        ("document_id", passage.document_id),
        ("title", passage.title),
        ("section", passage.section),
        ("page", passage.page),
        *((key, value) for key, value in passage.metadata.items() if key not in FIELDS),
    ]
    single = [(key, each) for key, value in facts for each in _values(value)]
    terms = [_term(key, each) for key, each in single]
    for key, each in single:
        if isinstance(each, int | float) and not isinstance(each, bool):
            terms += [_number(key, prefix) for prefix in prefixes(each)]
    return list(dict.fromkeys(terms))


@dataclass(frozen=True)
class Wanted:
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


def wanted(where: Filter | None) -> Wanted:
    """What a filter wants. Raises `InvalidRequest` that names the key where it cannot be understood."""
    all_of: list[list[str]] = []
    none_of: list[str] = []
    for key, value in (where or {}).items():
        if not isinstance(value, dict):
            all_of.append([_term(key, each) for each in _values(value)])
            continue
        bounds = {name: _bound(key, name, bound) for name, bound in value.items() if name != "not"}
        if "not" in value:
            none_of += [_term(key, each) for each in _values(value["not"])]
        elif not bounds:
            raise InvalidRequest(f"filter: {key!r} has no condition: give gte, gt, lte, lt or not")
        if bounds:
            all_of.append([_number(key, prefix) for prefix in cover(**bounds)])
    return Wanted(all_of, none_of)


def _bound(key: str, name: str, value: Scalar | list[str]) -> float:
    if isinstance(value, bool | str | list) or not math.isfinite(value):
        raise InvalidRequest(f"filter: {key!r}: {name} takes a number, not {value!r}")
    return value


def _number(key: str, prefix: str) -> str:
    """Three parts, so that it is never the term of a value."""
    return _short([key, "#", prefix])


def _short(parts: list[Scalar]) -> str:
    text = _encode(parts)
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{parts[0]!r}: the text is not valid Unicode ({error.reason})") from None
    return text if len(encoded) <= LONGEST_TERM else "sha256:" + hashlib.sha256(encoded).hexdigest()
