"""A passage as the arguments of a script, and as what a search finds."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import orjson

from services.core.wire.passages import TokenVectors
from services.retrieval.backends.redis.server import Argument
from services.retrieval.candidates import Candidates, Vector
from services.retrieval.filters import Wanted
from services.retrieval.payload import INDEX, TERMS, Payload, Point, from_payload
from services.retrieval.revisions import Pair, pair_of
from services.retrieval.sparse import query_weights

_HALF = 20
"""Hexadecimal digits of each half of a revision's hash."""
_TIMES = 4
"""How often a word of weight 1 is written."""
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
    """The nine of `upsert.lua`."""
    payload = {key: value for key, value in point.payload.items() if key != TERMS}
    filters = cast(list[str], point.payload[TERMS])
    return [
        point.id,
        pair_key(pair_of(payload)),
        cast(int, payload[INDEX]),
        orjson.dumps(payload),
        ",".join(map(_hash, filters)),
        _words(point.sparse),
        "".join(f" {_word(id_)}:{weight:.7g}" for id_, weight in point.sparse.items()),
        unit(point.vector).tobytes(),
        _pack(point.token_vectors) if with_tokens else b"",
    ]


def _word(id_: int) -> str:
    """A term in RediSearch's index, where it must look like a word."""
    return f"w{id_:x}"


def _words(weights: dict[int, float]) -> str:
    """Each term as often as it weighs: RediSearch keeps how often a word occurs."""
    often = {_word(id_): max(1, round(_TIMES * weight)) for id_, weight in weights.items()}
    return " ".join(word for word, times in often.items() for _ in range(times))


def query_words(text: str) -> str:
    """Of `search.lua`."""
    return " ".join(f"{_word(id_)}:{weight:.7g}" for id_, weight in query_weights(text).items())


def _pack(tokens: TokenVectors | None) -> bytes:
    return b"" if tokens is None else _SHAPE.pack(tokens.tokens, tokens.dim) + tokens.data


def unpack_tokens(packed: bytes) -> TokenVectors:
    count, dim = _SHAPE.unpack_from(packed)
    return TokenVectors(data=packed[_SHAPE.size :], tokens=count, dim=dim)


def filter_query(where: Wanted) -> str:
    """In RediSearch's language; terms are hashed, so nothing in them has a meaning there."""
    parts = [_has(terms) for terms in where.all_of]
    if where.none_of:
        parts.append("-" + _has(where.none_of))
    return " ".join(parts)


def _has(terms: Sequence[str]) -> str:
    return "@terms:{" + "|".join(map(_hash, terms)) + "}"


def candidates(reply: Sequence[Any], query: Vector | None, *, with_vectors: bool) -> Candidates:
    """What `search.lua` found; `query` is of length one."""
    vectors: dict[str, Vector] = {}

    def keep(payload: Payload, packed: bytes) -> float | None:
        """The cosine, where there is a query; the vector is kept where it is wanted."""
        vector = np.frombuffer(packed, dtype=np.float32)
        if with_vectors:
            vectors[str(payload["id"])] = vector
        return None if query is None else float(vector @ query)

    dense = []
    for fields in reply[0][2::2]:
        hit = dict(zip(fields[::2], fields[1::2], strict=True))
        payload = payload_of(hit[b"json"])
        if with_vectors:
            keep(payload, hit[b"vector"])
        dense.append(from_payload(payload, 1 - float(hit[b"distance"])))
    sparse = []
    for score, text, packed in reply[1]:
        payload = payload_of(text)
        cosine = keep(payload, packed) if packed else None
        sparse.append(from_payload(payload, cosine, sparse_score=float(score)))
    return Candidates(dense, sparse, vectors)


def payload_of(text: bytes) -> Payload:
    return cast(Payload, orjson.loads(text))
