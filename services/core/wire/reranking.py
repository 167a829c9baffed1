"""TEI's `/rerank` and OPEA's `/v1/reranking`, extended."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.core.wire.base import StrictWire, Text, Wire
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName, Passage


class RerankRequest(Wire):
    """TEI `POST /rerank`."""

    query: Text
    texts: list[Text] = Field(min_length=1)
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool = False
    truncation_direction: Literal["Right", "right"] = "Right"


class Rank(Wire):
    """TEI's reply is a list of these, best first."""

    index: int
    score: float
    text: str | None = None


class RerankingRequest(StrictWire):
    """`POST /v1/reranking`: passages as retrieval gave them, with their scores, best first.

    OPEA's two forms are read as well: `input` is the query, a document may be a text or have nothing but one.
    With `positions_only` the reply has no texts.
    """

    initial_query: Text
    retrieved_docs: list[Passage] = Field(min_length=1)
    top_n: int = Field(1, ge=1, le=1000)
    collection: CollectionName = DEFAULT_COLLECTION
    positions_only: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_opeas_form(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        kept = {name: value for name, value in body.items() if name not in _OF_THE_CHAIN}
        if "input" in kept and "initial_query" not in kept:
            kept["initial_query"] = kept.pop("input")
        docs = kept.get("retrieved_docs")
        if isinstance(docs, list):
            kept["retrieved_docs"] = [_complete_document(place, doc) for place, doc in enumerate(docs)]
        return kept

    @property
    def stored_in(self) -> str | None:
        """The collection that has these passages; None where they came from elsewhere."""
        return self.collection if all(doc.document_id for doc in self.retrieved_docs) else None


_OF_THE_CHAIN = frozenset({"id", "request_type", "relevance", "conversation_history"})
"""What OPEA's orchestrator hands on from the service before, and reranking has no use for."""


def _complete_document(place: int, doc: object) -> object:
    """Complete a document of OPEA's, which has a text, and may have an id of its own and any metadata."""
    if isinstance(doc, str):
        return {"id": str(place), "document_id": "", "text": doc}
    if isinstance(doc, dict) and not doc.get("document_id"):
        own = {name: value for name, value in doc.items() if name != "metadata"}
        return {"document_id": "", **own, "id": doc.get("id") or str(place)}
    return doc


class RerankedPassage(Wire):
    index: int
    score: float


class RerankedText(Wire):
    """A document of OPEA's reply."""

    text: str
    score: float


class RerankingReply(Wire):
    """The `top_n` best as positions in the request's `retrieved_docs`, best first.

    Then what OPEA's two forms of reply have: the `query` with the texts as `documents`, and `reranked_docs`.
    """

    results: list[RerankedPassage]
    model: str = ""
    query: str | None = None
    initial_query: str | None = None
    documents: list[str] | None = None
    reranked_docs: list[RerankedText] | None = None


Place = Annotated[int, Field(ge=0, le=2**31)]


class SentencesRequest(StrictWire):
    """`POST /v1/sentences`: how near the sentences of passages are to a query.

    `spans` are the sentences of each passage, as from and to in characters of its text.
    """

    query: Text
    passages: list[Passage] = Field(min_length=1, max_length=200)
    spans: list[list[tuple[Place, Place]]]
    collection: CollectionName = DEFAULT_COLLECTION

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.spans) != len(self.passages):
            raise ValueError(f"spans: {len(self.spans)} lists for {len(self.passages)} passages")
        return self


class SentencesReply(Wire):
    """By passage and span the cosine, in [-1, 1]; null where the passage's token vectors do not reach."""

    cosines: list[list[float | None]]
    model: str = ""


class RerankerLabels(Wire):
    """What TEI says of a cross-encoder's only output."""

    id2label: dict[str, str] = Field(default_factory=lambda: {"0": "relevance"})
    label2id: dict[str, int] = Field(default_factory=lambda: {"relevance": 0})


class RerankerInfo(Wire):
    """TEI `GET /info` of a reranker, the fields that clients read."""

    model_id: str
    model_sha: str | None = None
    model_dtype: str = "float32"
    model_type: dict[str, RerankerLabels] = Field(default_factory=lambda: {"reranker": RerankerLabels()})
    max_input_length: int | None = None
    max_client_batch_size: int
    max_batch_tokens: int | None = None
    max_batch_requests: int | None = None
    max_concurrent_requests: int = 512
    tokenization_workers: int = 1
    version: str = ""
    sha: str | None = None
    docker_label: str | None = None
