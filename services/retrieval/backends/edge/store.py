"""The store on local disk: its collections, opened at first use, and the order of what changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.core.disk import DiskGuard
from services.core.errors import ServiceUnavailable
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Candidates, Page, Query
from services.retrieval.backends.edge.catalogue import Catalogue, Entry
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.backends.edge.graph import GraphBuilds
from services.retrieval.backends.edge.threads import BATCH, CollectionThreads, Hide
from services.retrieval.collections import Schema, unknown_collection
from services.retrieval.filters import parse_filter
from services.retrieval.points import check_query_vector, make_points
from services.retrieval.revisions import DocumentLocks


class EdgeStore:
    """A directory of collections, which are opened at first use and stay open."""

    def __init__(self, catalogue: Catalogue, index_from: int = 0, least_free: int = 0) -> None:
        self._catalogue = catalogue
        self._disk = DiskGuard(catalogue.directory, least_free)
        self.graphs = GraphBuilds(index_from, self._disk)
        self._open: dict[str, CollectionThreads] = {}
        self._opening = asyncio.Lock()
        self._documents = DocumentLocks()
        self._retiring: set[asyncio.Task[int]] = set()

    async def search(self, collection: str, query: Query) -> Candidates:
        threads = await self._require(collection)
        dim = threads.entry.schema.dim
        vector = None if query.vector is None else check_query_vector(query.vector, collection, dim)
        where = parse_filter(query.where)
        if where.impossible:
            return Candidates()
        return await threads.read(lambda on_disk: on_disk.search(query, vector, where))

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        threads = await self._find(collection)
        if threads is None:
            return {}
        return await threads.read(lambda on_disk: on_disk.neighbours(ids, before, after))

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        threads = await self._require(collection)
        return await threads.read(lambda on_disk: on_disk.page(after, limit))

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        threads = await self._find(collection)
        return {} if threads is None else await threads.read(lambda on_disk: on_disk.token_vectors(ids))

    async def documents(self, collection: str) -> list[DocumentInfo]:
        threads = await self._find(collection)
        return [] if threads is None else await threads.write(EdgeCollection.documents)

    async def collections(self) -> list[CollectionInfo]:
        infos = []
        for name in sorted(self._catalogue.entries):
            if threads := await self._find(name):
                schema = threads.entry.schema
                count = await threads.read(EdgeCollection.count)
                aliases = self._catalogue.names.aliases_of(name)
                infos.append(
                    CollectionInfo(
                        name=name, model=schema.model, dim=schema.dim, passages=count, aliases=aliases
                    )
                )
        return infos

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        self._disk.check()
        points = await asyncio.to_thread(make_points, passages)
        schema = Schema(model, len(points[0].vector))
        threads = await self._find(collection) or await self._create(collection, schema)
        threads.entry.schema.require(collection, schema)
        documents = {stored.passage.document_id for stored in passages}
        async with self._documents.hold(documents):
            for start in range(0, len(points), BATCH):
                self._disk.check()
                unindexed = await threads.upserts.add(points[start : start + BATCH], staged=staged)
        self.graphs.consider(threads, unindexed)

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        self._disk.check_small()
        threads = await self._require(collection)
        key = (document_id, revision)
        return await self._retire(threads, document_id, lambda on_disk: on_disk.hide_others(key, passages))

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        self._disk.check_small()
        threads = await self._find(collection)
        if threads is None:
            return 0
        return await self._retire(
            threads, document_id, lambda on_disk: on_disk.hide(document_id, keep=keep_revision, only=revision)
        )

    async def _retire(self, threads: CollectionThreads, document_id: str, hide: Hide) -> int:
        """Hide and purge to the end, also where the caller is cancelled; the document is locked meanwhile."""

        async def retire_locked() -> int:
            async with self._documents.hold([document_id]):
                return await threads.retire(hide)

        task = asyncio.ensure_future(retire_locked())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return await asyncio.shield(task)

    async def drop(self, collection: str) -> None:
        async with self._opening:
            self._catalogue.names.check_drop(collection)
            await self._close_collection(collection)
            await asyncio.to_thread(self._catalogue.remove, self._catalogue.entries[collection])

    async def aliases(self) -> dict[str, str]:
        return dict(self._catalogue.aliases)

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        async with self._opening:
            replaced = await asyncio.to_thread(
                self._catalogue.set_alias, alias, collection, replace=replace_collection
            )
            await self._close_collection(alias)
            if replaced is not None:
                await asyncio.to_thread(self._catalogue.delete_files, replaced)

    async def delete_alias(self, alias: str) -> None:
        async with self._opening:
            await asyncio.to_thread(self._catalogue.delete_alias, alias)

    async def ready(self) -> None:
        """Return at once: to own the directory is to be ready, and `create` refuses where it does not."""

    async def close(self) -> None:
        await self.graphs.close()
        async with self._opening:
            await asyncio.gather(*(threads.close() for threads in self._open.values()))
            await asyncio.gather(*self._retiring, return_exceptions=True)
            self._open.clear()
            self._catalogue.close()

    async def _close_collection(self, name: str) -> None:
        threads = self._open.pop(name, None)
        if threads is not None:
            await threads.close()

    async def _require(self, collection: str) -> CollectionThreads:
        threads = await self._find(collection)
        if threads is None:
            raise unknown_collection(collection)
        return threads

    async def _find(self, collection: str) -> CollectionThreads | None:
        """Find the open collection of this name or alias; None where there is none."""
        name = self._catalogue.names.resolve(collection)
        threads = self._open.get(name)
        if threads is not None:
            return threads
        async with self._opening:
            name = self._catalogue.names.resolve(collection)
            entry = self._catalogue.entries.get(name)
            if entry is not None and name not in self._open:
                self._disk.check_small()  # opening writes too: a log, a mark that the file is open
                self._open[name] = CollectionThreads(entry, await asyncio.to_thread(_load, entry))
            return self._open.get(name)

    async def _create(self, collection: str, schema: Schema) -> CollectionThreads:
        """Make the collection, unless another request just did, and open it."""
        async with self._opening:
            name = self._catalogue.names.resolve(collection)
            threads = self._open.get(name)
            if threads is None:
                entry = self._catalogue.reserve(name, schema)
                on_disk = await asyncio.to_thread(EdgeCollection.create, entry.folder, schema.dim)
                self._catalogue.add(entry)
                threads = self._open[name] = CollectionThreads(entry, on_disk)
            return threads


def _load(entry: Entry) -> EdgeCollection:
    try:
        return EdgeCollection.load(entry.folder)
    except Exception as error:  # the engine raises plain Exception
        raise ServiceUnavailable(
            f"collection {entry.name!r} in {entry.folder} cannot be opened ({error}): restore the folder "
            f"from a backup, or delete the collection (DELETE /v1/collections/{entry.name}) and ingest again"
        ) from error
