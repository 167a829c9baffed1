"""Retrieval: OPEA's `/v1/retrieval` shape, extended, and the store's own routes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from services.core.wire.base import Filter, StrictWire, Text, Wire
from services.core.wire.encoding import unpack_request
from services.core.wire.passages import (
    DEFAULT_COLLECTION,
    CollectionName,
    DocumentInfo,
    Passage,
    TokenVectors,
)

Mode = Literal["hybrid", "dense", "sparse"]
Fusion = Literal["weighted", "rrf"]
EvidenceRule = Literal["floor", "words", "model", "off"]
SearchType = Literal["similarity", "similarity_distance_threshold", "similarity_score_threshold", "mmr"]


class RetrievalRequest(StrictWire):
    """`POST /v1/retrieval`. What is None is as the service's settings say.

    `embedding` has the collection's dimension; mode `sparse` can do without. `text` is the question for
    the sparse side; without it the search is dense. `score_threshold` is the least cosine of a passage,
    in every mode; `distance_threshold` the same as 1 - cosine. With `mmr_lambda`, passages are chosen that
    are unlike each other: 1 is relevance alone, 0 difference alone.

    With `threshold_languages`, the languages (ISO 639-1) that `score_threshold` was calibrated for, all
    evidence counts and not the cosine alone; an empty list means all languages. `Relevance` says what that
    changes.

    OPEA's fields mean what they mean there: `index_name` is the collection and `input` the text, an
    `embedding` may be a reply of `/v1/embeddings`, `search_type` says which threshold counts (`similarity`
    and `mmr`: none) and, as `mmr`, that the `fetch_k` best are chosen from with `lambda_mult`.
    """

    text: Text = ""
    embedding: list[float] | None = Field(None, min_length=1)
    k: int = Field(4, ge=1, le=1000)
    collection: CollectionName = DEFAULT_COLLECTION
    filter: Filter | None = None
    mode: Mode | None = None
    fusion: Fusion | None = None
    rrf_k: int | None = Field(None, ge=1, le=1000)
    dense_weight: float | None = Field(None, ge=0, le=1)
    score_threshold: float | None = None
    distance_threshold: float | None = None
    threshold_languages: list[str] | None = None
    mmr_lambda: float | None = Field(None, ge=0, le=1)
    search_type: SearchType | None = None
    fetch_k: int | None = Field(None, ge=1, le=1000)
    lambda_mult: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _read_opeas_form(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        kept = {name: value for name, value in body.items() if name not in {"id", "request_type"}}
        for theirs, ours in (("input", "text"), ("index_name", "collection")):
            value = kept.pop(theirs, None)
            if value:
                kept.setdefault(ours, value)
        if not kept.get("constraints"):
            kept.pop("constraints", None)
        embedded = kept.get("embedding")
        if isinstance(embedded, dict):
            data = embedded.get("data")
            first = data[0] if isinstance(data, list) and data else None
            kept["embedding"] = first.get("embedding") if isinstance(first, dict) else embedded
        return kept


class Relevance(Wire):
    """How it was decided which passages are evidence for a question.

    `rule` is what a passage had to pass: `floor`, the least cosine, in a language that it was calibrated for;
    `words`, the least share of the question's words, where question and passages are of another language;
    `model`, nothing, where they are of two languages, so that the model must say whether they answer (of a
    question in one of the floor's languages: if no passage reaches the floor); `off`, nothing, because no
    threshold was asked for. Whatever the rule, a passage that holds one of the question's `identifiers`
    passes. Those of them that no passage holds are `missing`: passages with one that is easily taken for it
    do not pass.

    `language` is the question's, None where it is not known.
    """

    rule: EvidenceRule
    language: str | None = None
    identifiers: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)


class RetrievalReply(Wire):
    """`retrieved_docs` best first; `score` is the cosine similarity, in [-1, 1], in every mode.

    `relevance` is there where the request has `threshold_languages`.
    """

    retrieved_docs: list[Passage]
    initial_query: str = ""
    relevance: Relevance | None = None


class StoredPassage(StrictWire):
    passage: Passage
    vector: list[float] = Field(min_length=1)
    token_vectors: TokenVectors | None = None


class UpsertRequest(StrictWire):
    """`POST /v1/passages`: store these; a passage with a known id is overwritten.

    As JSON or as MessagePack. `model` is the embedding model; a collection made with another model or
    dimension refuses. With `staged`, no reader sees the passages before their revision is published; passages
    of a revision that readers see already are overwritten in place.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    model: str
    passages: list[StoredPassage] = Field(min_length=1)
    staged: bool = False

    _unpacked = model_validator(mode="before")(unpack_request)


class PublishRequest(StrictWire):
    """`POST /v1/documents/publish`: in one step this revision is the only one of its document that is seen.

    `passages`, where given, is how many the revision must have; another number is a conflict. Repeating
    a publish changes nothing. Other staged revisions of the document stay staged.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    document_id: str
    revision: str
    passages: int | None = Field(None, ge=1)


class DeleteRequest(StrictWire):
    """`POST /v1/passages/delete`: a document's passages, staged ones too, gone for readers in one step.

    Except those of `keep_revision`, or only those of `revision`.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    document_id: str
    keep_revision: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.revision is not None and self.keep_revision is not None:
            raise ValueError("give either revision or keep_revision")
        return self


class CountReply(Wire):
    count: int


class TokenVectorsRequest(StrictWire):
    """`POST /v1/passages/token_vectors`: the stored token vectors of these passages."""

    collection: CollectionName = DEFAULT_COLLECTION
    ids: list[str] = Field(min_length=1, max_length=1000)


class TokenVectorsReply(Wire):
    """By passage id; passages without token vectors are absent."""

    token_vectors: dict[str, TokenVectors]


class NeighboursRequest(StrictWire):
    """`POST /v1/passages/neighbours`: the passages before and after these in their documents."""

    collection: CollectionName = DEFAULT_COLLECTION
    ids: list[str] = Field(min_length=1, max_length=1000)
    before: int = Field(1, ge=0, le=100)
    after: int = Field(1, ge=0, le=100)


class NeighboursReply(Wire):
    """By passage id, its document's passages around it, itself among them, in order; unknown ids absent."""

    neighbours: dict[str, list[Passage]]


class PassagesReply(Wire):
    """`GET /v1/passages?collection=&after=&limit=`: one page; `next` is the `after` of the next one."""

    passages: list[Passage]
    next: str | None = None


class AroundReply(Wire):
    """`GET /v1/passages/{id}/around` at the gateway: the passages around one, itself among them, in order."""

    passages: list[Passage]


class DocumentPassagesReply(Wire):
    """`GET /v1/documents/{id}/passages` at the gateway: some of the `total` passages, in order."""

    document: DocumentInfo
    passages: list[Passage]
    total: int


class DocumentsReply(Wire):
    """`GET /v1/documents?collection=`: every document, by name."""

    documents: list[DocumentInfo]


class CollectionInfo(Wire):
    """A collection: the embedding model that its vectors come from, their dimension, how many it holds."""

    name: str
    model: str
    dim: int
    passages: int
    aliases: list[str] = Field(default_factory=list)


class CollectionsReply(Wire):
    """`GET /v1/collections`: every collection, by name."""

    collections: list[CollectionInfo]


class AliasRequest(StrictWire):
    """`PUT /v1/aliases/{alias}`: from one request to the next the alias means this collection.

    An alias and a collection cannot have the same name. With `replace_collection`, a collection that has
    the alias's name is deleted in the same step.
    """

    collection: CollectionName
    replace_collection: bool = False


class AliasesReply(Wire):
    """`GET /v1/aliases`: the collection that each alias means."""

    aliases: dict[str, str]
