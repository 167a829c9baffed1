"""A passage as the arguments of a script, and as what a search finds."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import orjson

from services.core.wire.passages import TokenVectors
from services.retrieval.candidates import Vector
from services.retrieval.filters import Clauses
from services.retrieval.payload import INDEX, TERMS, Payload, Point
from services.retrieval.redis.server import Argument
from services.retrieval.revisions import Pair, pair_of

_HALF = 20
"""Hexadecimal digits of each half of a revision's hash."""
_SHAPE = struct.Struct("<II")


def document_key(document_id: str) -> str:
    return _hash(document_id)


def pair_key(pair: Pair) -> str:
    """A revision's name in keys and in the index: it begins with its document's."""
    return _hash(pair[0]) + _hash(pair[1])


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_HALF // 2).hexdigest()


def unit(vector: Sequence[float] | Vector) -> Vector:
    """At length one, so that the inner product is the cosine; a zero vector stays zero."""
    array = np.asarray(vector, dtype=np.float32)
    return array / np.float32(np.linalg.norm(array) or 1)


def arguments(point: Point, *, with_tokens: bool) -> list[Argument]:
    """The eight of `upsert.lua`."""
    payload = {key: value for key, value in point.payload.items() if key != TERMS}
    terms = cast(list[str], point.payload[TERMS])
    return [
        point.id,
        pair_key(pair_of(payload)),
        cast(int, payload[INDEX]),
        orjson.dumps(payload),
        ",".join(map(_hash, terms)),
        "",
        unit(point.vector).tobytes(),
        _pack(point.token_vectors) if with_tokens else b"",
    ]


def _pack(tokens: TokenVectors | None) -> bytes:
    return b"" if tokens is None else _SHAPE.pack(tokens.tokens, tokens.dim) + tokens.unpack()


def unpack_tokens(packed: bytes) -> TokenVectors:
    count, dim = _SHAPE.unpack_from(packed)
    return TokenVectors.pack(packed[_SHAPE.size :], tokens=count, dim=dim)


def filter_query(wanted: Clauses) -> str:
    """In RediSearch's language; terms are hashed, so nothing in them has a meaning there."""
    return " ".join("@terms:{" + "|".join(map(_hash, clause)) + "}" for clause in wanted)


def hits(reply: Sequence[object]) -> Iterable[dict[str, bytes]]:
    """The fields of each hit of an FT.SEARCH, in order."""
    for fields in cast(Sequence[Sequence[bytes]], reply[2::2]):
        yield {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}


def payload_of(text: bytes) -> Payload:
    return cast(Payload, orjson.loads(text))
