"""The protocol of a vector store.

A backend is one file in `backends/` that exports `async def create(url: StoreAddress) -> VectorStore`; the
scheme of `VECTOR_URL` is the file's name, with an `s` after it where the connection is by TLS.

Wherever a method takes `collection`, that may be an alias. No method but `token_vectors` shows passages
of a hidden revision: a staged one, or one that is being deleted (`services.retrieval.revisions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.core.addresses import StoreAddress
from services.core.backends import Backend
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.candidates import Candidates, Query

PACKAGE = "services.retrieval.backends"


@dataclass(frozen=True)
class Page:
    """Some passages, and where the next page begins; None after the last one."""

    passages: list[Passage]
    next: str | None


class PassageReader(Protocol):
    async def search(self, collection: str, query: Query) -> Candidates:
        """The best passages of each side of the query, all from one state of the collection.

        While a document is being replaced, all of one of its revisions is found and nothing of another.
        `query.where` matches `document_id`, `title`, `section`, `page` and the keys of `metadata`. Raises
        `NotFound` for an unknown collection and `InvalidRequest` for a vector of another dimension.
        """

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        """By id, the passages of its document and revision from `before` it to `after` it, by index.

        The passage itself is among them. Ids that are not found are absent.
        """

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        """Every passage, page by page, in no order; those written meanwhile may or may not be among them.

        `after` is an earlier page's `next`. Raises `NotFound` for an unknown collection.
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
    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        """Store all of these durably, or raise; creates the collection at its first passage.

        A passage with a known id is overwritten, its token vectors with it. Of a call that raised, some
        passages may be stored. Raises `Conflict` where the collection holds vectors of another model or
        dimension, `InvalidRequest` where the vectors differ in dimension or are not finite.

        With `staged`, the passages are hidden until their revision is published, unless it is seen
        already. Raises `Conflict` where an id belongs to another revision, which would lose it.
        """

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        """In one step, durable on return: of the document, readers see this revision and no other.

        Returns how many passages of others that hides; they are deleted when no reader that began before
        is left. Staged revisions are not touched. Raises `Conflict` where the revision has no passages,
        or another number than `passages`; `NotFound` for an unknown collection.
        """

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        """Delete a document's passages, staged ones too, for readers in one step; how many there were.

        Only those of `revision`, or all but those of `keep_revision`, where given.
        """

    async def drop(self, collection: str) -> None:
        """Delete a collection with all it holds.

        Raises `NotFound` for an unknown one, `Conflict` for an alias and for one that an alias means.
        """


class Aliases(Protocol):
    async def aliases(self) -> dict[str, str]:
        """The collection that each alias means."""

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        """From now on `alias` means this collection, for each request either the old one or the new one.

        Raises `NotFound` where there is no such collection, and `Conflict` where a collection is named
        `alias`: unless `replace_collection`, which drops it in the same step.
        """

    async def delete_alias(self, alias: str) -> None:
        """Raises `NotFound` for an unknown alias."""


class VectorStore(PassageReader, PassageWriter, Aliases, Backend, Protocol):
    """Owns the passages. Safe to call concurrently; never blocks the event loop for long."""


class CreateStore(Protocol):
    """What a backend file exports as `create`."""

    async def __call__(self, url: StoreAddress) -> VectorStore: ...
