"""The store on a Qdrant server: writing, and what else is not reading."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from qdrant_client import models as q

from services.core.errors import Conflict
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backends.qdrant.reader import TOKEN_VECTORS, QdrantReader
from services.retrieval.backends.qdrant.revisions import IS_RECORD, revisions_filter
from services.retrieval.collections import Names, Schema
from services.retrieval.points import DENSE, DOCUMENT_ID, REVISION, SPARSE, Point, make_points
from services.retrieval.revisions import (
    RevisionKey,
    require_own_ids,
    require_passages,
    revision_key,
    select_revisions,
)

BATCH = 64


class QdrantStore(QdrantReader):
    """The whole store."""

    async def collections(self) -> list[CollectionInfo]:
        """List those that Ragline made; a server may hold others."""
        names = Names(await self._collections.names(), await self._collections.aliases())
        infos = []
        for name in names.collections:
            try:
                schema = await self._collections.describe(name)
            except Conflict:
                continue
            if schema is not None:
                where = q.Filter(must_not=[IS_RECORD, *await self._hidden(name)])
                infos.append(
                    CollectionInfo(
                        name=name,
                        model=schema.model,
                        dim=schema.dim,
                        passages=await self._count(name, where),
                        aliases=names.aliases_of(name),
                    )
                )
        return infos

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = await asyncio.to_thread(make_points, passages)
        offered = Schema(model, len(points[0].vector))
        present = await self._collections.describe(collection)
        if present is None:
            present = await self._collections.create(collection, offered)
        present.require(collection, offered)
        await self._collections.index(collection)
        documents = {stored.passage.document_id for stored in passages}
        async with self._locks.hold(documents):
            for start in range(0, len(points), BATCH):
                batch = points[start : start + BATCH]
                await self._prepare(collection, batch, staged)
                async with self._connection.call("store passages", collection):
                    await self._client.upsert(collection, [_make_record(point) for point in batch], wait=True)

    async def _prepare(self, collection: str, batch: Sequence[Point], staged: bool) -> None:
        """Finish deleting what is stored again, and hide what is staged before it has points.

        Revisions that readers see already stay so.
        """
        offered = {str(point.payload["id"]): revision_key(point.payload) for point in batch}
        if staged:
            stored = await self._payloads(collection, [*offered], ["id", DOCUMENT_ID, REVISION])
            require_own_ids(stored, offered)
        hidden = await self._records.read(collection)
        for key in sorted(set(offered.values())):
            if key in hidden.doomed:
                await self._purger.purge(collection, key)
            elif not staged or key in hidden or await self._has_passages(collection, key):
                continue
            if staged:
                of_document = await self._records.read(collection, key[0])
                await self._records.write(collection, key[0], of_document.stage([key]))

    async def _has_passages(self, collection: str, key: RevisionKey) -> bool:
        return await self._count(collection, revisions_filter(key[0], [key[1]])) > 0

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        await self._collections.require(collection)
        key = (document_id, revision)
        async with self._locks.hold([document_id]):
            hidden = await self._records.read(collection, document_id)
            stored = await self._stored_revisions(collection, document_id)
            require_passages(key, 0 if key in hidden.doomed else stored.count(key), passages)
            others = set(stored) - {key} - hidden.staged - hidden.doomed
            if others or key in hidden:
                await self._records.write(collection, document_id, hidden.publish(key, others))
        self._purger.begin(collection, others)
        return sum(stored.count(other) for other in others)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        if await self._collections.describe(collection) is None:
            return 0
        async with self._locks.hold([document_id]):
            hidden = await self._records.read(collection, document_id)
            stored = await self._stored_revisions(collection, document_id)
            known = {*stored, *hidden.staged, *hidden.doomed}
            doomed = select_revisions(known, keep=keep_revision, only=revision)
            if doomed:
                await self._records.write(collection, document_id, hidden.doom(doomed))
        self._purger.begin(collection, doomed)
        return sum(stored.count(key) for key in doomed - hidden.doomed)

    async def drop(self, collection: str) -> None:
        await self._collections.drop(collection)

    async def aliases(self) -> dict[str, str]:
        return await self._collections.aliases()

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        await self._collections.set_alias(alias, collection, replace_collection=replace_collection)

    async def delete_alias(self, alias: str) -> None:
        await self._collections.delete_alias(alias)

    async def ready(self) -> None:
        await self._collections.names()

    async def close(self) -> None:
        await self._purger.deletions.close()
        await self._client.close()


def _make_record(point: Point) -> q.PointStruct:
    payload = point.payload
    if point.token_vectors is not None:
        payload = {**payload, TOKEN_VECTORS: point.token_vectors.model_dump(mode="json")}
    sparse = q.SparseVector(indices=[*point.sparse], values=[*point.sparse.values()])
    return q.PointStruct(id=point.id, vector={DENSE: point.vector, SPARSE: sparse}, payload=payload)
