"""A passage as a stored point and back: what every store keeps of it, and the documents that points make."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from services.core.errors import InvalidRequest
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Vector
from services.retrieval.filters import list_terms
from services.retrieval.sparse import weigh_passage

DENSE = "dense"
SPARSE = "sparse"
TERMS = "terms"
"""Payload key of the passage's filter terms; indexed as keywords."""
DOCUMENT_ID = "document_id"
REVISION = "revision"
INDEX = "index"

_NAMESPACE = uuid.UUID("5f0c9a4e-6a55-5d0b-9b2e-7c1d8f6f3b10")
_SCORES = {"score", "sparse_score", "fused_score", "rerank_score", "matched", "word_share"}

PASSAGE_FIELDS = [name for name in Passage.model_fields if name not in _SCORES]
"""The payload keys that `read_passage` needs."""

DOCUMENT_FIELDS = [DOCUMENT_ID, "title", REVISION, INDEX, "metadata"]
"""The payload keys that `list_documents` needs."""

Payload = dict[str, object]


@dataclass(frozen=True)
class Point:
    """A point is a passage as it is stored; `id` is a UUID, the passage's own id is in the payload.

    `sparse` are the BM25 weights of its header and text, by term.
    """

    id: str
    payload: Payload
    vector: list[float]
    sparse: dict[int, float]
    token_vectors: TokenVectors | None


def point_id(passage_id: str) -> str:
    """Derive a point's UUID from its passage's id: always the same one."""
    return str(uuid.uuid5(_NAMESPACE, passage_id))


def make_points(passages: Sequence[StoredPassage]) -> list[Point]:
    """Make one point per passage id, of the last passage given, all of one dimension.

    Raises:
        InvalidRequest: Something could not be stored or found again; nothing is stored yet.
    """
    _check_vectors(passages)
    return [_make_point(stored) for stored in {stored.passage.id: stored for stored in passages}.values()]


def _make_point(stored: StoredPassage) -> Point:
    passage = stored.passage
    if stored.token_vectors is not None:
        _check_tokens(passage.id, stored.token_vectors)
    payload = {**passage.model_dump(exclude=_SCORES), TERMS: list_terms(passage)}
    try:
        orjson.dumps(payload)
    except TypeError as error:
        raise InvalidRequest(f"passage {passage.id!r} has no JSON form: {error}") from None
    sparse = weigh_passage(passage.embedded_text)
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


def read_passage(
    payload: Mapping[str, object], score: float | None = None, *, sparse_score: float | None = None
) -> Passage:
    """Read a point's passage, with `score` kept within [-1, 1] against rounding."""
    cosine = None if score is None else max(-1.0, min(1.0, score))
    return Passage.model_validate({**payload, "score": cosine, "sparse_score": sparse_score})


def check_query_vector(vector: Sequence[float], collection: str, dim: int) -> Vector:
    """Turn a query's vector into an array of shape (dim,), float32.

    Raises:
        InvalidRequest: It cannot be compared with the collection's vectors.
    """
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


def to_unit_length(vector: Sequence[float] | Vector) -> Vector:
    """Scale a vector to length one, so that the inner product is the cosine; a zero vector stays zero."""
    array = np.asarray(vector, dtype=np.float32)
    return array / np.float32(np.linalg.norm(array) or 1)


def list_documents(payloads: Iterable[Payload]) -> list[DocumentInfo]:
    """List the documents of passages, by name and then id; a first passage gives its name and metadata.

    While a document is being replaced, two revisions are stored: the one with more passages is listed.
    Only the entries are validated, not every passage: that takes six times as long.
    """
    first: dict[tuple[str, str], tuple[int, Payload]] = {}
    counts: dict[tuple[str, str], int] = {}
    for payload in payloads:
        key = (str(payload[DOCUMENT_ID]), str(payload[REVISION]))
        index = payload[INDEX]
        at = index if isinstance(index, int) else 0
        counts[key] = counts.get(key, 0) + 1
        if key not in first or at < first[key][0]:
            first[key] = (at, payload)
    chosen: dict[str, tuple[int, str]] = {}
    for (document_id, revision), count in counts.items():
        chosen[document_id] = max(chosen.get(document_id, (0, "")), (count, revision))
    documents = [
        describe_document(first[document_id, revision][1], count)
        for document_id, (count, revision) in chosen.items()
    ]
    return sorted(documents, key=lambda document: (document.name, document.id))


def describe_document(first: Payload, passages: int) -> DocumentInfo:
    """Describe a document of so many passages, by the payload of its first one."""
    return DocumentInfo.model_validate(
        {
            "id": first[DOCUMENT_ID],
            "name": first["title"] or first[DOCUMENT_ID],
            "revision": first[REVISION],
            "passages": passages,
            "metadata": first["metadata"],
        }
    )
