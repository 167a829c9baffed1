"""TEI's embedding routes, OpenAI's, and the one of ours that also returns token vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from services.core.wire.base import StrictWire, Text, Wire
from services.core.wire.passages import TokenVectors

Direction = Literal["right", "left"]
"""Which end of a text that is too long is cut."""

TruncationDirection = Annotated[
    Direction, BeforeValidator(lambda given: given.lower() if isinstance(given, str) else given)
]
"""TEI's `truncation_direction`: Right or Left."""


TokenIds = list[Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]]
"""A text as the ids of its tokens, by the model's own tokenizer."""

Inputs = Text | list[Text] | TokenIds | list[TokenIds]
"""One text or several, or the token ids of one or of several."""


class EmbedRequest(Wire):
    """TEI `POST /embed` and `POST /`, answered by `[[float]]`; also `/embed_all`, answered by `[[[float]]]`.

    `prompt_name`: query or passage, for the prefix that the model wants before such a text.
    """

    inputs: Inputs
    normalize: bool = True
    truncate: bool = False
    truncation_direction: TruncationDirection = "right"
    prompt_name: str | None = None
    dimensions: int | None = None


class TokenizeRequest(Wire):
    """TEI `POST /tokenize`, answered by a list of `Token` per text."""

    inputs: Text | list[Text]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class DecodeRequest(Wire):
    """TEI `POST /decode`, answered by a text for each list of token ids."""

    ids: TokenIds | list[TokenIds]
    skip_special_tokens: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """TEI's token: `text[start:stop]`, in characters, is what it stands for; both None for a special one.

    A dataclass, because a long text has many.
    """

    id: int
    text: str
    special: bool
    start: int | None = None
    stop: int | None = None


class OpenAIEmbeddingRequest(Wire):
    """OpenAI `POST /v1/embeddings`; also in OPEA's older form, `text` in place of `input`."""

    input: Inputs
    text: Text | list[Text] | None = None
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_opeas_form(cls, body: object) -> object:
        if isinstance(body, dict) and body.get("text") is not None and "input" not in body:
            return {**body, "input": body["text"]}
        return body


class OpenAIEmbedding(Wire):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class OpenAIEmbeddingUsage(Wire):
    prompt_tokens: int
    total_tokens: int


class OpenAIEmbeddingReply(Wire):
    object: Literal["list"] = "list"
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIEmbeddingUsage


class EmbeddedText(Wire):
    """OPEA's reply to a `text`: the request of a retrieval, with OPEA's defaults for it."""

    text: Text | list[Text]
    embedding: list[float] | list[list[float]]
    search_type: str = "similarity"
    k: int = 4
    distance_threshold: float | None = None
    fetch_k: int = 20
    lambda_mult: float = 0.5
    score_threshold: float = 0.2


class EncodeRequest(StrictWire):
    """`POST /v1/encode`: vectors and, where the model gives them, token vectors, in one pass."""

    inputs: list[Text] = Field(min_length=1)
    token_vectors: bool = False
    truncate: bool = True
    prompt_name: str | None = None


class EncodeReply(Wire):
    """`embeddings` has shape (n, dim), L2-normalised; `token_vectors` is None where not to be had."""

    model: str
    dim: int
    embeddings: list[list[float]]
    token_vectors: list[TokenVectors] | None = None


class EmbeddingInfo(Wire):
    """TEI `GET /info`, with three fields of ours, whose defaults are what a TEI does not say.

    `prompts` are the prefixes that a request's `prompt_name` may name.
    """

    model_id: str
    model_sha: str | None = None
    model_dtype: str = "float32"
    model_type: dict[str, dict[str, str]] = Field(default_factory=lambda: {"embedding": {"pooling": "mean"}})
    max_input_length: int
    max_client_batch_size: int = 32
    max_batch_tokens: int = 16384
    max_concurrent_requests: int = 512
    max_batch_requests: int | None = None
    tokenization_workers: int = 1
    version: str = ""
    sha: str | None = None
    docker_label: str | None = None
    dim: int = 0
    token_vectors: bool = False
    prompts: dict[str, str] = Field(default_factory=dict)
