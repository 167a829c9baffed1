"""The store on local disk: its collections, opened at first use, and the order of what changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.core.errors import ServiceUnavailable
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Page
from services.retrieval.backends.edge.catalogue import Catalogue, Entry
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.backends.edge.graph import GraphBuilds
from services.retrieval.backends.edge.threads import BATCH, CollectionThreads, Hide
from services.retrieval.candidates import Candidates, Query
from services.retrieval.filters import wanted
from services.retrieval.locks import DocumentLocks
from services.retrieval.payload import query_vector, to_points
from services.retrieval.schema import Schema, unknown


class EdgeStore:
    """Collections are opened at first use and stay open."""

    def __init__(self, catalogue: Catalogue, index_from: int = 0) -> None:
        self._catalogue = catalogue
        self.graphs = GraphBuilds(index_from)
        self._open: dict[str, CollectionThreads] = {}
        self._opening = asyncio.Lock()
        self._documents = DocumentLocks()
        self._retiring: set[asyncio.Task[int]] = set()

    async def search(self, collection: str, query: Query) -> Candidates:
        held = await self._require(collection)
        vector = (
            None if query.vector is None else query_vector(query.vector, collection, held.entry.schema.dim)
        )
        where = wanted(query.where)
        if where.impossible:
            return Candidates()
        return await held.read(lambda on_disk: on_disk.search(query, vector, where))

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        held = await self._find(collection)
        return {} if held is None else await held.read(lambda on_disk: on_disk.neighbours(ids, before, after))

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        held = await self._require(collection)
        return await held.read(lambda on_disk: on_disk.page(after, limit))

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        held = await self._find(collection)
        return {} if held is None else await held.read(lambda on_disk: on_disk.token_vectors(ids))

    async def documents(self, collection: str) -> list[DocumentInfo]:
        held = await self._find(collection)
        return [] if held is None else await held.write(EdgeCollection.documents)

    async def collections(self) -> list[CollectionInfo]:
        infos = []
        for name in sorted(self._catalogue.entries):
            if held := await self._find(name):
                schema = held.entry.schema
                count = await held.read(EdgeCollection.count)
                aliases = self._catalogue.aliases_of(name)
                infos.append(
                    CollectionInfo(
                        name=name, model=schema.model, dim=schema.dim, passages=count, aliases=aliases
                    )
                )
        return infos

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = await asyncio.to_thread(to_points, passages)
        schema = Schema(model, len(points[0].vector))
        held = await self._find(collection) or await self._create(collection, schema)
        held.entry.schema.require(collection, schema)
        documents = {stored.passage.document_id for stored in passages}
        async with self._documents.hold(documents):
            for start in range(0, len(points), BATCH):
                unindexed = await held.upserts.add(points[start : start + BATCH], staged=staged)
        self.graphs.consider(held, unindexed)

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        held = await self._require(collection)
        pair = (document_id, revision)
        return await self._retire(held, document_id, lambda on_disk: on_disk.hide_others(pair, passages))

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        held = await self._find(collection)
        if held is None:
            return 0
        return await self._retire(
            held, document_id, lambda on_disk: on_disk.hide(document_id, keep=keep_revision, only=revision)
        )

    async def _retire(self, held: CollectionThreads, document_id: str, hide: Hide) -> int:
        """To its end, also where the caller is cancelled: the document stays locked until then."""

        async def locked() -> int:
            async with self._documents.hold([document_id]):
                return await held.retire(hide)

        task = asyncio.ensure_future(locked())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return await asyncio.shield(task)

    async def drop(self, collection: str) -> None:
        async with self._opening:
            entry = self._catalogue.require_own_name(collection)
            held = self._open.pop(collection, None)
            if held is not None:
                await held.close()
            await asyncio.to_thread(self._catalogue.remove, entry)

    async def aliases(self) -> dict[str, str]:
        return dict(self._catalogue.aliases)

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        async with self._opening:
            replaced = await asyncio.to_thread(
                self._catalogue.set_alias, alias, collection, replace=replace_collection
            )
            held = self._open.pop(alias, None)
            if held is not None:
                await held.close()
            if replaced is not None:
                await asyncio.to_thread(self._catalogue.delete_files, replaced)

    async def delete_alias(self, alias: str) -> None:
        async with self._opening:
            await asyncio.to_thread(self._catalogue.delete_alias, alias)

    async def ready(self) -> None:
        """Owning the directory is being ready: `create` refuses where it does not."""

    async def close(self) -> None:
        await self.graphs.close()
        async with self._opening:
            await asyncio.gather(*(held.close() for held in self._open.values()))
            await asyncio.gather(*self._retiring, return_exceptions=True)
            self._open.clear()
            self._catalogue.close()

    async def _require(self, collection: str) -> CollectionThreads:
        held = await self._find(collection)
        if held is None:
            raise unknown(collection)
        return held

    async def _find(self, collection: str) -> CollectionThreads | None:
        """The open collection of this name or alias, or None where there is none."""
        name = self._catalogue.resolve(collection)
        held = self._open.get(name)
        if held is not None:
            return held
        async with self._opening:
            name = self._catalogue.resolve(collection)
            entry = self._catalogue.entries.get(name)
            if entry is not None and name not in self._open:
                self._open[name] = CollectionThreads(entry, await asyncio.to_thread(_load, entry))
            return self._open.get(name)

    async def _create(self, collection: str, schema: Schema) -> CollectionThreads:
        """The open collection, made unless another request just did."""
        async with self._opening:
            name = self._catalogue.resolve(collection)
            held = self._open.get(name)
            if held is None:
                entry = self._catalogue.reserve(name, schema)
                made = await asyncio.to_thread(EdgeCollection.create, entry.folder, schema.dim)
                self._catalogue.add(entry)
                held = self._open[name] = CollectionThreads(entry, made)
            return held


def _load(entry: Entry) -> EdgeCollection:
    try:
        return EdgeCollection.load(entry.folder)
    except Exception as error:  # the engine raises plain Exception
        raise ServiceUnavailable(
            f"collection {entry.name!r} in {entry.folder} cannot be opened ({error}): restore the folder "
            f"from a backup, or delete the collection (DELETE /v1/collections/{entry.name}) and ingest again"
        ) from error
