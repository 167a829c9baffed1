"""Passage to stored payload and back, and what a passage is called inside a vector store."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.filters import passage_terms

DENSE = "dense"
SPARSE = "sparse"
TERMS = "terms"
"""Payload key of the passage's filter terms; indexed as keywords."""
DOCUMENT_ID = "document_id"
REVISION = "revision"

_NAMESPACE = uuid.UUID("5f0c9a4e-6a55-5d0b-9b2e-7c1d8f6f3b10")
_SCORES = {"score", "rerank_score"}

Payload = dict[str, object]


def point_id(passage_id: str) -> str:
    """The UUID of a passage in stores that take no strings; the passage's own id is in its payload."""
    return str(uuid.uuid5(_NAMESPACE, passage_id))


def to_payload(passage: Passage) -> Payload:
    """The passage's fields, without scores, and its filter terms."""
    return {**passage.model_dump(exclude=_SCORES), TERMS: passage_terms(passage)}


FIELDS = [name for name in Passage.model_fields if name not in _SCORES]
"""The payload keys that `from_payload` needs."""


def from_payload(payload: Mapping[str, object], score: float) -> Passage:
    """The passage, with `score` kept within [-1, 1] against rounding."""
    return Passage.model_validate({**payload, "score": max(-1.0, min(1.0, score))})


def dense_matrix(passages: Sequence[StoredPassage]) -> NDArray[np.float32]:
    """The vectors, of shape (n, dim), float32. Raises `InvalidRequest` for mixed or non-finite ones."""
    dims = {len(stored.vector) for stored in passages}
    if len(dims) != 1:
        raise InvalidRequest(f"the vectors of one request differ in dimension: {sorted(dims)}")
    matrix = np.asarray([stored.vector for stored in passages], dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise InvalidRequest("a vector holds a value that is not a finite float32 number")
    return matrix


def query_vector(vector: Sequence[float], collection: str, dim: int) -> NDArray[np.float32]:
    """The query, of shape (dim,), float32. Raises `InvalidRequest` where it cannot be compared."""
    if len(vector) != dim:
        raise InvalidRequest(
            f"the query vector has {len(vector)} dimensions, collection {collection!r} has {dim}: "
            "embed queries with the model that the documents were embedded with"
        )
    query = np.asarray(vector, dtype=np.float32)
    if not np.isfinite(query).all():
        raise InvalidRequest("the query vector holds a value that is not a finite float32 number")
    return query


def latest(passages: Sequence[StoredPassage]) -> list[StoredPassage]:
    """One entry per passage id: the last one given."""
    return list({stored.passage.id: stored for stored in passages}.values())
