"""The filter grammar, once for every backend: a passage's terms, and the terms that a filter wants.

A term is the canonical text of one `key = value` fact. A passage is stored with all of its terms in one
indexed keyword field, so each backend needs only "has any of these terms", types never get mixed up
(`True`, `1` and `"1"` are three values; `2` and `2.0` one) and no key needs to be quoted as a path.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import partial
from json import JSONEncoder

from services.core.errors import InvalidRequest
from services.core.wire.base import Filter, Scalar
from services.core.wire.passages import Passage

FIELDS = ("document_id", "title", "section", "page")
"""Fields of a passage that a filter can name; any other key is one of `metadata`."""

LONGEST_TERM = 256
"""In bytes of UTF-8. A longer one (a filter on a long text) is stored as its hash: a small index."""

Clauses = list[list[str]]
"""A passage matches where, for every inner list, it has at least one of its terms."""

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _term(key: str, value: Scalar) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(f"{key!r}: {value} is not a number that can be stored or matched")
        value = int(value) if value.is_integer() and abs(value) < 2**63 else value
    if not isinstance(value, bool) and isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidRequest(f"{key!r}: the integer {value} does not fit in 64 bits; send it as a string")
    text = _encode([key, value])
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{key!r}: the text is not valid Unicode ({error.reason})") from None
    return text if len(encoded) <= LONGEST_TERM else "sha256:" + hashlib.sha256(encoded).hexdigest()


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
    return list(dict.fromkeys(_term(key, each) for key, value in facts for each in _values(value)))


def clauses(where: Filter | None) -> Clauses:
    """What a filter wants; an empty list among the values makes a clause that nothing matches."""
    return [list(map(partial(_term, key), _values(value))) for key, value in (where or {}).items()]


def impossible(wanted: Clauses) -> bool:
    """True where no passage can match."""
    return any(not clause for clause in wanted)
