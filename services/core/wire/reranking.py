"""TEI's `/rerank` and OPEA's `/v1/reranking`, extended."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    """`POST /v1/reranking`: passages as retrieval gave them, with their scores, best first."""

    initial_query: Text
    retrieved_docs: list[Passage] = Field(min_length=1)
    top_n: int = Field(4, ge=1, le=1000)
    collection: CollectionName = DEFAULT_COLLECTION


class RerankedPassage(Wire):
    index: int
    score: float


class RerankingReply(Wire):
    """The `top_n` best as positions in the request's `retrieved_docs`, best first."""

    results: list[RerankedPassage]
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
