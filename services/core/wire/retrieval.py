"""Retrieval: OPEA's `/v1/retrieval` shape, extended, and the store's own routes."""

from __future__ import annotations

from pydantic import Field

from services.core.wire.base import Filter, StrictWire, Text, Wire
from services.core.wire.passages import (
    DEFAULT_COLLECTION,
    CollectionName,
    DocumentInfo,
    Passage,
    TokenVectors,
)


class RetrievalRequest(StrictWire):
    """`POST /v1/retrieval`. `embedding` has the collection's dimension; `text` is echoed back."""

    text: Text = ""
    embedding: list[float] = Field(min_length=1)
    k: int = Field(4, ge=1, le=1000)
    collection: CollectionName = DEFAULT_COLLECTION
    filter: Filter | None = None
    score_threshold: float | None = None


class RetrievalReply(Wire):
    """`retrieved_docs` best first; `score` is the cosine similarity, in [-1, 1]."""

    retrieved_docs: list[Passage]
    initial_query: str = ""


class StoredPassage(StrictWire):
    passage: Passage
    vector: list[float] = Field(min_length=1)
    token_vectors: TokenVectors | None = None


class UpsertRequest(StrictWire):
    """`POST /v1/passages`: store these; a passage with a known id is overwritten.

    `model` is the embedding model; a collection made with another model or dimension refuses.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    model: str
    passages: list[StoredPassage] = Field(min_length=1)


class DeleteRequest(StrictWire):
    """`POST /v1/passages/delete`: a document's passages, except those of `keep_revision`."""

    collection: CollectionName = DEFAULT_COLLECTION
    document_id: str
    keep_revision: str | None = None


class CountReply(Wire):
    count: int


class TokenVectorsRequest(StrictWire):
    """`POST /v1/passages/token_vectors`: the stored token vectors of these passages."""

    collection: CollectionName = DEFAULT_COLLECTION
    ids: list[str] = Field(min_length=1, max_length=1000)


class TokenVectorsReply(Wire):
    """By passage id; passages without token vectors are absent."""

    token_vectors: dict[str, TokenVectors]


class DocumentsReply(Wire):
    """`GET /v1/documents?collection=`: every document, by name."""

    documents: list[DocumentInfo]


class CollectionInfo(Wire):
    """A collection: the embedding model that its vectors come from, their dimension, how many it holds."""

    name: str
    model: str
    dim: int
    passages: int


class CollectionsReply(Wire):
    """`GET /v1/collections`: every collection, by name."""

    collections: list[CollectionInfo]
