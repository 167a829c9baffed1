"""A passage as the arguments of a script, and candidates out of what the search script found."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import orjson

from services.core.wire.passages import TokenVectors
from services.retrieval.backend import Candidates, Vector
from services.retrieval.backends.redis.server import Argument
from services.retrieval.filters import TermFilter
from services.retrieval.points import INDEX, TERMS, Payload, Point, read_passage, to_unit_length
from services.retrieval.revisions import RevisionKey, revision_key
from services.retrieval.sparse import weigh_query

_HALF = 20
"""Hexadecimal digits of each half of a revision's hash."""
_TIMES = 4
"""How often a word of weight 1 is written."""
_SHAPE = struct.Struct("<II")


def hash_document(document_id: str) -> str:
    """Give a document its name in keys."""
    return _hash(document_id)


def hash_revision(revision: RevisionKey) -> str:
    """Give a revision its name in keys and in the index: it begins with its document's."""
    return _hash(revision[0]) + _hash(revision[1])


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_HALF // 2).hexdigest()


def make_arguments(point: Point, *, with_tokens: bool) -> list[Argument]:
    """Make a passage's nine arguments of `upsert.lua`."""
    payload = {key: value for key, value in point.payload.items() if key != TERMS}
    filters = cast(list[str], point.payload[TERMS])
    return [
        point.id,
        hash_revision(revision_key(payload)),
        cast(int, payload[INDEX]),
        orjson.dumps(payload),
        ",".join(map(_hash, filters)),
        _repeat_words(point.sparse),
        "".join(f" {_word(id_)}:{weight:.7g}" for id_, weight in point.sparse.items()),
        to_unit_length(point.vector).tobytes(),
        _pack_tokens(point.token_vectors) if with_tokens else b"",
    ]


def _word(id_: int) -> str:
    """Write a term for RediSearch's index, where it must look like a word."""
    return f"w{id_:x}"


def _repeat_words(weights: dict[int, float]) -> str:
    """Write each term as often as it weighs: RediSearch keeps how often a word occurs."""
    often = {_word(id_): max(1, round(_TIMES * weight)) for id_, weight in weights.items()}
    return " ".join(word for word, times in often.items() for _ in range(times))


def make_query_words(text: str) -> str:
    """Make the words that `search.lua` takes, of a query's text."""
    return " ".join(f"{_word(id_)}:{weight:.7g}" for id_, weight in weigh_query(text).items())


def _pack_tokens(tokens: TokenVectors | None) -> bytes:
    return b"" if tokens is None else _SHAPE.pack(tokens.tokens, tokens.dim) + tokens.data


def unpack_tokens(packed: bytes) -> TokenVectors:
    """Read token vectors as they are stored."""
    count, dim = _SHAPE.unpack_from(packed)
    return TokenVectors(data=packed[_SHAPE.size :], tokens=count, dim=dim)


def make_filter(where: TermFilter) -> str:
    """Write a filter in RediSearch's language; terms are hashed, so nothing in them has a meaning there."""
    parts = [_has_any(terms) for terms in where.all_of]
    if where.none_of:
        parts.append("-" + _has_any(where.none_of))
    return " ".join(parts)


def _has_any(terms: Sequence[str]) -> str:
    return "@terms:{" + "|".join(map(_hash, terms)) + "}"


def read_candidates(reply: Sequence[Any], query: Vector | None, *, with_vectors: bool) -> Candidates:
    """Read what `search.lua` found; `query` is of length one."""
    vectors: dict[str, Vector] = {}

    def keep(payload: Payload, packed: bytes) -> float | None:
        """Compute the cosine, where there is a query; keep the vector where it is wanted."""
        vector = np.frombuffer(packed, dtype=np.float32)
        if with_vectors:
            vectors[str(payload["id"])] = vector
        return None if query is None else float(vector @ query)

    dense = []
    for fields in reply[0][2::2]:
        hit = dict(zip(fields[::2], fields[1::2], strict=True))
        payload = parse_payload(hit[b"json"])
        if with_vectors:
            keep(payload, hit[b"vector"])
        dense.append(read_passage(payload, 1 - float(hit[b"distance"])))
    sparse = []
    for score, text, packed in reply[1]:
        payload = parse_payload(text)
        cosine = keep(payload, packed) if packed else None
        sparse.append(read_passage(payload, cosine, sparse_score=float(score)))
    return Candidates(dense, sparse, vectors)


def parse_payload(text: bytes) -> Payload:
    """Read a payload's JSON."""
    return cast(Payload, orjson.loads(text))
