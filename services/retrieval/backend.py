"""The protocol of a vector store, and the values that it takes and gives.

A backend is one place in `backends/`, a module or a package, that exports `create`, a `CreateStore`. The
scheme of `VECTOR_URL` is its name, with an `s` after it where the connection is by TLS.

Wherever a method takes `collection`, that may be an alias. No method but `token_vectors` shows passages
of a hidden revision: a staged one, or one that is being deleted (`services.retrieval.revisions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.core.addresses import StoreAddress
from services.core.backends import Backend
from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage

PACKAGE = "services.retrieval.backends"

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Query:
    """A query asks for the `k` best of each side: of `vector` by cosine, of `text` by BM25 weights and IDF.

    A side without its input is not searched; without `dense`, the vector only gives the sparse side's
    passages their cosines. `with_vectors` asks for the passages' vectors too.
    """

    vector: Sequence[float] | None = None
    text: str = ""
    dense: bool = True
    k: int = 4
    where: Filter | None = None
    with_vectors: bool = False


@dataclass(frozen=True)
class Candidates:
    """Candidates are what a store finds, before anything is fused or cut.

    Both sides are best first, read from one state of the collection. Every passage of `dense` has its
    `score`, every one of `sparse` its `sparse_score`, and its `score` too where the query has a vector.
    `vectors` are of length one, by passage id.
    """

    dense: list[Passage] = field(default_factory=list)
    sparse: list[Passage] = field(default_factory=list)
    vectors: Mapping[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page holds some passages, and says where the next page begins; None after the last one."""

    passages: list[Passage]
    next: str | None


class PassageReader(Protocol):
    """Reads passages, documents and collections."""

    async def search(self, collection: str, query: Query) -> Candidates:
        """Find the best passages of each side of the query, all from one state of the collection.

        While a document is being replaced, all of one of its revisions is found and nothing of another.

        Args:
            query: Its `where` matches `document_id`, `title`, `section`, `page` and the keys of `metadata`.

        Raises:
            NotFound: The collection is unknown.
            InvalidRequest: The vector is of another dimension than the collection's.
        """

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        """Read what stands around passages, in the same revision of the same document.

        Args:
            before, after: How many passages before and after each one, by index.

        Returns:
            By id, the passages around it and itself. Ids that are not found are absent.
        """

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        """Read every passage, page by page, in no order; those written meanwhile may be among them or not.

        Args:
            after: An earlier page's `next`; None for the first page.

        Raises:
            NotFound: The collection is unknown.
        """

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Read the token vectors of these passages.

        Returns:
            By id; absent where none are stored. Empty for an unknown collection.
        """

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """List every document, by name; empty for an unknown collection."""

    async def collections(self) -> list[CollectionInfo]:
        """List every collection, by name."""


class PassageWriter(Protocol):
    """Changes what is stored."""

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        """Store all of these durably; creates the collection at its first passage.

        A passage with a known id is overwritten, its token vectors with it. Of a call that raised, some
        passages may be stored.

        Args:
            model: The embedding model that the vectors are from.
            staged: Hide the passages until their revision is published, unless it is seen already.

        Raises:
            Conflict: The collection holds vectors of another model or dimension; or the passages are
                `staged`, and an id belongs to another revision, which would lose it.
            InvalidRequest: The vectors differ in dimension or are not finite.
        """

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        """Show this revision of the document and no other: in one step, durable on return.

        Staged revisions are not touched. Those that it hides are deleted when no reader that began before
        is left.

        Args:
            passages: How many passages the revision must have; None for any number.

        Returns:
            How many passages of other revisions it hides.

        Raises:
            Conflict: The revision has no passages, or another number than `passages`.
            NotFound: The collection is unknown.
        """

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        """Delete a document's passages, staged ones too; for readers in one step.

        Args:
            keep_revision: Where given, delete all revisions but this one.
            revision: Where given, delete this revision alone.

        Returns:
            How many passages there were. 0 for an unknown collection.
        """

    async def drop(self, collection: str) -> None:
        """Delete a collection with all it holds.

        Raises:
            NotFound: The collection is unknown.
            Conflict: The name is an alias, or an alias means the collection.
        """


class Aliases(Protocol):
    """Gives collections second names."""

    async def aliases(self) -> dict[str, str]:
        """Read the collection that each alias means."""

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        """Let `alias` mean this collection; each request finds either the old one or the new one.

        Args:
            replace_collection: Drop a collection that is named `alias`, in the same step.

        Raises:
            NotFound: There is no such collection.
            Conflict: A collection is named `alias`, and `replace_collection` is off.
        """

    async def delete_alias(self, alias: str) -> None:
        """Delete an alias, not its collection.

        Raises:
            NotFound: The alias is unknown.
        """


class VectorStore(PassageReader, PassageWriter, Aliases, Backend, Protocol):
    """Owns the passages. It is safe to call concurrently, and never blocks the event loop for long."""


class CreateStore(Protocol):
    """What a backend exports as `create`."""

    async def __call__(self, url: StoreAddress) -> VectorStore:
        """Open the store.

        Args:
            url: What `VECTOR_URL` says.

        Raises:
            InvalidRequest: The URL lacks something that this backend needs.
            ServiceUnavailable: The store cannot be used, for example because another process owns it.
        """
