"""`edge:`: Qdrant's embedded engine on local disk. One process owns a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from services.core.errors import ServiceUnavailable
from services.core.settings import HomeSettings
from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.edge.catalogue import Catalogue, Entry
from services.retrieval.edge.collection import EdgeCollection
from services.retrieval.edge.threads import CollectionThreads
from services.retrieval.filters import clauses, impossible
from services.retrieval.payload import Point, query_vector, to_points
from services.retrieval.schema import Schema, unknown
from services.retrieval.url import StoreUrl

BATCH = 64
"""Passages per write. The engine holds the GIL in its calls, about 6 ms for this many."""


class EdgeStore:
    """Collections are opened at first use and stay open."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._open: dict[str, CollectionThreads] = {}
        self._opening = asyncio.Lock()

    async def search(
        self,
        collection: str,
        vector: Sequence[float],
        *,
        k: int,
        where: Filter | None = None,
        threshold: float | None = None,
    ) -> list[Passage]:
        held = await self._find(collection)
        if held is None:
            raise unknown(collection)
        query = query_vector(vector, collection, held.entry.schema.dim)
        wanted = clauses(where)
        if impossible(wanted):
            return []
        return await held.read(lambda on_disk: on_disk.search(query, k=k, wanted=wanted, threshold=threshold))

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
                infos.append(CollectionInfo(name=name, model=schema.model, dim=schema.dim, passages=count))
        return infos

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        points = await asyncio.to_thread(to_points, passages)
        schema = Schema(model, len(points[0].vector))
        held = await self._find(collection) or await self._create(collection, schema)
        held.entry.schema.require(collection, schema)
        for start in range(0, len(points), BATCH):
            await held.write(_upsert(points[start : start + BATCH]))

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        held = await self._find(collection)
        if held is None:
            return 0
        return await held.write(lambda on_disk: on_disk.delete(document_id, keep_revision))

    async def drop(self, collection: str) -> None:
        async with self._opening:
            entry = self._catalogue.entries.get(collection)
            if entry is None:
                raise unknown(collection)
            held = self._open.pop(collection, None)
            if held is not None:
                await held.close()
            await asyncio.to_thread(self._catalogue.remove, entry)

    async def ready(self) -> None:
        """Owning the directory is being ready: `create` refuses where it does not."""

    async def close(self) -> None:
        async with self._opening:
            await asyncio.gather(*(held.close() for held in self._open.values()))
            self._open.clear()
            self._catalogue.close()

    async def _find(self, collection: str) -> CollectionThreads | None:
        """The open collection, or None where there is none of this name."""
        held = self._open.get(collection)
        if held is not None:
            return held
        async with self._opening:
            entry = self._catalogue.entries.get(collection)
            if entry is not None and collection not in self._open:
                self._open[collection] = CollectionThreads(entry, await asyncio.to_thread(_load, entry))
        return self._open.get(collection)

    async def _create(self, collection: str, schema: Schema) -> CollectionThreads:
        """The open collection, made unless another request just did."""
        async with self._opening:
            held = self._open.get(collection)
            if held is None:
                entry = self._catalogue.reserve(collection, schema)
                made = await asyncio.to_thread(EdgeCollection.create, entry.folder, schema.dim)
                self._catalogue.add(entry)
                held = self._open[collection] = CollectionThreads(entry, made)
            return held


def _upsert(batch: Sequence[Point]) -> Callable[[EdgeCollection], None]:
    return lambda on_disk: on_disk.upsert(batch)


def _load(entry: Entry) -> EdgeCollection:
    try:
        return EdgeCollection.load(entry.folder)
    except Exception as error:  # the engine raises plain Exception
        raise ServiceUnavailable(
            f"collection {entry.name!r} in {entry.folder} cannot be opened ({error}): restore the folder "
            f"from a backup, or delete the collection (DELETE /v1/collections/{entry.name}) and ingest again"
        ) from error


async def create(url: StoreUrl) -> EdgeStore:
    """Own the directory that `url` names, else `vectors` in the data folder of `RAGLINE_HOME`."""
    directory = url.directory or HomeSettings.load().data / "vectors"
    return EdgeStore(await asyncio.to_thread(Catalogue, directory))
