"""Documents, passages, and the token vectors that are kept beside them."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from services.core.wire.base import Metadata, Text, Wire

COLLECTION_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
CollectionName = Annotated[str, Field(pattern=COLLECTION_PATTERN.pattern)]
DEFAULT_COLLECTION = "default"
_NAMESPACE = uuid.UUID("0b1d6c3e-64a6-5c86-9b0c-3f3f5a1f9a52")


def _decode_base64(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {error}") from None


def _encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


Bytes = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    PlainSerializer(_encode_base64, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Bytes as they are, in MessagePack and in memory; base64 in JSON."""


class TokenVectors(Wire):
    """One text's L2-normalised token vectors as int8 (value = round(127 * x)), row-major.

    Shape (`tokens`, `dim`); the special tokens [CLS] and [SEP] are not among them.
    """

    tokens: int
    dim: int
    data: Bytes


class Passage(Wire):
    """A chunk of a document. `text` is exactly `document_text[start:end]`, in characters.

    `score` is the retrieval's cosine similarity, also of a passage that only the sparse side found;
    `sparse_score` is that side's, by BM25 weights and the store's IDF, `fused_score` what a hybrid search
    ordered by, and `rerank_score` the reranker's. None where not scored. `matched` are the identifiers of the
    question that the passage holds, `word_share` how much of the question's words, weighed by IDF. `kept` are
    the parts of `text` that reach the prompt, as from and to in characters; None: all of it.
    """

    id: str
    document_id: str
    text: Text
    title: Text = ""
    section: Text = ""
    page: int | None = None
    start: int = 0
    end: int = 0
    index: int = 0
    revision: str = ""
    metadata: Metadata = Field(default_factory=dict)
    score: float | None = None
    sparse_score: float | None = None
    fused_score: float | None = None
    rerank_score: float | None = None
    matched: list[str] | None = None
    word_share: float | None = None
    kept: list[tuple[int, int]] | None = None

    @property
    def shown(self) -> str:
        """What a model sees of the text: a gap of words is three dots, a gap of lines a line of them."""
        if self.kept is None:
            return self.text
        pieces: list[str] = []
        last = 0
        for start, end in self.kept:
            gap = self.text[last:start]
            if gap.strip():
                pieces.append("\n...\n" if "\n" in gap and pieces else "... " if not pieces else " ... ")
            elif pieces:
                pieces.append(gap)
            pieces.append(self.text[start:end])
            last = end
        if self.text[last:].strip():
            pieces.append(" ...")
        return "".join(pieces)

    @property
    def header(self) -> str:
        """The heading path that tells a model where the passage stands."""
        return " > ".join(part for part in (self.title, self.section) if part)

    @property
    def identifiers(self) -> set[str]:
        """The question's identifiers that it holds, but for acronyms, which are no more than rare words."""
        matched = self.matched or ()
        return {text for text in matched if text.startswith(".") or not text.replace(".", "").isalpha()}

    @property
    def embedded_text(self) -> str:
        """What is embedded for this passage: its header, then its text."""
        return f"{self.header}\n{self.text}" if self.header else self.text


class DocumentInfo(Wire):
    """A document as the store knows it. `revision` is a SHA-256 over its bytes and how it was chunked."""

    id: str
    name: str
    revision: str
    passages: int
    metadata: Metadata = Field(default_factory=dict)


def passage_id(document: str, revision: str, index: int) -> str:
    """Return the UUID that stands for this passage of this content for ever."""
    return str(uuid.uuid5(_NAMESPACE, f"{document}/{revision}/{index}"))
