"""The protocol of a vector store.

A backend is one file in `backends/` that exports `async def create(url: StoreUrl) -> VectorStore`; the
scheme of `VECTOR_URL` is the file's name, with an `s` after it where the connection is by TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.core.backends import Backend
from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.url import StoreUrl

PACKAGE = "services.retrieval.backends"


class PassageReader(Protocol):
    async def search(
        self,
        collection: str,
        vector: Sequence[float],
        *,
        k: int,
        where: Filter | None = None,
        threshold: float | None = None,
    ) -> list[Passage]:
        """The `k` passages most similar by cosine, best first, each with its `score`.

        `where` matches `document_id`, `title`, `section`, `page` and the keys of `metadata`. Raises
        `NotFound` for an unknown collection and `InvalidRequest` for a vector of another dimension.
        """

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """The token vectors of these passages, by id; absent where none are stored.

        Empty for an unknown collection.
        """

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """Every document, by name; empty for an unknown collection."""

    async def collections(self) -> list[CollectionInfo]:
        """Every collection, by name."""


class PassageWriter(Protocol):
    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        """Store all of these durably, or raise; creates the collection at its first passage.

        A passage with a known id is overwritten, its token vectors with it. Of a call that raised, some
        passages may be stored. Raises `Conflict` where the collection holds vectors of another model or
        dimension, `InvalidRequest` where the vectors differ in dimension or are not finite.
        """

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        """Delete a document's passages, except those of `keep_revision`; how many were deleted."""

    async def drop(self, collection: str) -> None:
        """Delete a collection with all it holds. Raises `NotFound` for an unknown one."""


class VectorStore(PassageReader, PassageWriter, Backend, Protocol):
    """Owns the passages. Safe to call concurrently; never blocks the event loop for long."""


class CreateStore(Protocol):
    """What a backend file exports as `create`."""

    async def __call__(self, url: StoreUrl) -> VectorStore: ...
