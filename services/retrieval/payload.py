"""Passage to stored point and back: what every store keeps of a passage, and under which names."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.filters import passage_terms
from services.retrieval.sparse import passage_weights

DENSE = "dense"
SPARSE = "sparse"
TERMS = "terms"
"""Payload key of the passage's filter terms; indexed as keywords."""
DOCUMENT_ID = "document_id"
REVISION = "revision"
INDEX = "index"

_NAMESPACE = uuid.UUID("5f0c9a4e-6a55-5d0b-9b2e-7c1d8f6f3b10")
_SCORES = {"score", "sparse_score", "fused_score", "rerank_score"}

FIELDS = [name for name in Passage.model_fields if name not in _SCORES]
"""The payload keys that `from_payload` needs."""

Payload = dict[str, object]


@dataclass(frozen=True)
class Point:
    """A passage as it is stored; `id` is a UUID, the passage's own id is in the payload.

    `sparse` are the BM25 weights of its header and text, by term.
    """

    id: str
    payload: Payload
    vector: list[float]
    sparse: dict[int, float]
    token_vectors: TokenVectors | None


def point_id(passage_id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, passage_id))


def to_points(passages: Sequence[StoredPassage]) -> list[Point]:
    """One point per passage id, the last one given, all of one dimension.

    Raises `InvalidRequest`, before anything is stored, for what could not be stored or found again.
    """
    _check_vectors(passages)
    return [_to_point(stored) for stored in {each.passage.id: each for each in passages}.values()]


def _to_point(stored: StoredPassage) -> Point:
    passage = stored.passage
    if stored.token_vectors is not None:
        _check_tokens(passage.id, stored.token_vectors)
    payload = {**passage.model_dump(exclude=_SCORES), TERMS: passage_terms(passage)}
    try:
        orjson.dumps(payload)
    except TypeError as error:
        raise InvalidRequest(f"passage {passage.id!r} has no JSON form: {error}") from None
    sparse = passage_weights(passage.embedded_text)
    return Point(point_id(passage.id), payload, stored.vector, sparse, stored.token_vectors)


def _check_vectors(passages: Sequence[StoredPassage]) -> None:
    dims = {len(stored.vector) for stored in passages}
    if len(dims) != 1:
        raise InvalidRequest(f"the vectors of one request differ in dimension: {sorted(dims)}")
    with np.errstate(over="ignore"):
        matrix = np.asarray([stored.vector for stored in passages], dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise InvalidRequest("a vector holds a value that is not a finite float32 number")


def _check_tokens(passage_id: str, vectors: TokenVectors) -> None:
    expected, found = vectors.tokens * vectors.dim, len(vectors.data)
    if found != expected:
        raise InvalidRequest(
            f"the token vectors of {passage_id!r} are {found} bytes, "
            f"{vectors.tokens} tokens of {vectors.dim} dimensions are {expected}"
        )


def from_payload(
    payload: Mapping[str, object], score: float | None = None, *, sparse_score: float | None = None
) -> Passage:
    """The passage, with `score` kept within [-1, 1] against rounding."""
    cosine = None if score is None else max(-1.0, min(1.0, score))
    return Passage.model_validate({**payload, "score": cosine, "sparse_score": sparse_score})


def query_vector(vector: Sequence[float], collection: str, dim: int) -> NDArray[np.float32]:
    """The query, of shape (dim,), float32. Raises `InvalidRequest` where it cannot be compared."""
    if len(vector) != dim:
        raise InvalidRequest(
            f"the query vector has {len(vector)} dimensions, collection {collection!r} has {dim}: "
            "embed queries with the model that the documents were embedded with"
        )
    with np.errstate(over="ignore"):
        query = np.asarray(vector, dtype=np.float32)
    if not np.isfinite(query).all():
        raise InvalidRequest("the query vector holds a value that is not a finite float32 number")
    return query
