"""The store on a Redis: each method one step of the server, or a few."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from itertools import chain
from typing import Any

from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Page
from services.retrieval.backends.redis.points import (
    arguments,
    candidates,
    document_key,
    filter_query,
    pair_key,
    payload_of,
    query_words,
    unit,
    unpack_tokens,
)
from services.retrieval.backends.redis.retirement import Retirement
from services.retrieval.backends.redis.server import Argument, Server
from services.retrieval.candidates import Candidates, Query
from services.retrieval.documents import describe
from services.retrieval.filters import Wanted, wanted
from services.retrieval.payload import Point, from_payload, point_id, query_vector, to_points
from services.retrieval.revisions import pair_of, require_own_ids, require_passages
from services.retrieval.schema import Schema, aliased, is_alias, taken, unknown, unknown_alias

BATCH = 32
"""Passages per step: the server answers nobody meanwhile, about 20 ms."""
PAGE = 500


class RedisStore:
    """What others do to the same Redis at the same time is seen at once: nothing is kept here."""

    def __init__(self, server: Server, *, index: str, ef: int, token_vectors: bool) -> None:
        self._server = server
        self._index = index
        self._ef = ef
        self._token_vectors = token_vectors
        self._retirement = Retirement(server)

    async def search(self, collection: str, query: Query) -> Candidates:
        where = wanted(query.where)
        vector = None
        if query.vector is not None:
            vector = unit(query_vector(query.vector, collection, len(query.vector)))
        status, *reply = await self._server.search(
            collection,
            b"" if vector is None else vector.tobytes(),
            "1" if query.dense else "",
            query.k,
            max(self._ef, query.k),
            filter_query(Wanted() if where.impossible else where),
            query_words(query.text),
            "1" if query.with_vectors else "",
        )
        if status == b"missing":
            raise unknown(collection)
        if status == b"dim":
            query_vector(query.vector or [], collection, reply[0])
        if where.impossible:
            return Candidates()
        return candidates(reply, vector, with_vectors=query.with_vectors)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        points = [point_id(id_) for id_ in ids]
        reply = await self._server.run(
            "neighbours", collection, before, after, *points, what="fetch passages"
        )
        return {
            id_: [from_payload(payload_of(text)) for text in around]
            for id_, around in zip(ids, reply, strict=True)
            if around
        }

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        status, *reply = await self._server.run(
            "scroll", collection, after or "", limit, what="list passages"
        )
        if status == b"missing":
            raise unknown(collection)
        last, found = reply
        return Page([from_payload(payload_of(text)) for text in found], last.decode() or None)

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        points = [point_id(id_) for id_ in ids]
        reply = await self._server.run("tokens", collection, *points, what="fetch token vectors")
        return {id_: unpack_tokens(packed) for id_, packed in zip(ids, reply, strict=True) if packed}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """Each document as it is when its page is read; a scan may show one twice."""
        found: dict[str, DocumentInfo] = {}
        cursor = "0"
        while True:
            after, page = await self._server.run("documents", collection, cursor, PAGE, what="list documents")
            for count, text in page:
                document = describe(payload_of(text), count)
                found[document.id] = document
            cursor = after.decode()
            if cursor == "0":
                return sorted(found.values(), key=lambda document: (document.name, document.id))

    async def collections(self) -> list[CollectionInfo]:
        described = await self._server.run("describe", what="list collections")
        infos = [
            CollectionInfo.model_validate(
                {
                    **payload_of(text),
                    "name": name.decode(),
                    "passages": count,
                    "aliases": [alias.decode() for alias in aliases],
                }
            )
            for name, text, count, aliases in described
        ]
        return sorted(infos, key=lambda info: info.name)

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = await asyncio.to_thread(to_points, passages)
        schema = Schema(model, len(points[0].vector))
        for start in range(0, len(points), BATCH):
            batch = await asyncio.to_thread(self._arguments, points[start : start + BATCH])
            await self._store(collection, schema, staged, batch)

    def _arguments(self, points: Sequence[Point]) -> list[Argument]:
        each = (arguments(point, with_tokens=self._token_vectors) for point in points)
        return list(chain.from_iterable(each))

    async def _store(self, collection: str, schema: Schema, staged: bool, batch: Sequence[Argument]) -> None:
        """One step, after what has to be there or gone before it."""
        status = b""
        while status != b"stored":
            status, *reply = await self._server.run(
                "upsert",
                collection,
                schema.model,
                schema.dim,
                "1" if staged else "",
                *batch,
                what="store passages",
            )
            match status:
                case b"missing":
                    await self._make(collection, schema)
                case b"schema":
                    Schema(reply[0].decode(), reply[1]).require(collection, schema)
                case b"doomed":
                    await self._retirement.purge(reply[0].decode(), reply[1].decode())
                case b"taken":
                    stored, offered = map(payload_of, reply)
                    require_own_ids([stored], {str(stored["id"]): pair_of(offered)})

    async def _make(self, collection: str, schema: Schema) -> None:
        uid = uuid.uuid4().hex[:16]
        await self._server.run(
            "make",
            collection,
            uid,
            schema.model,
            schema.dim,
            self._index,
            what="create the collection",
        )

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        pair = (document_id, revision)
        expected = "" if passages is None else passages
        status, *reply = await self._server.run(
            "publish", collection, pair_key(pair), expected, what="publish a revision"
        )
        if status == b"incomplete":
            require_passages(pair, reply[0], passages)
        return self._retire(collection, status, reply)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        keep, only = (
            "" if each is None else pair_key((document_id, each)) for each in (keep_revision, revision)
        )
        status, *reply = await self._server.run(
            "delete", collection, document_key(document_id), keep, only, what="delete passages"
        )
        return 0 if status == b"missing" else self._retire(collection, status, reply)

    def _retire(self, collection: str, status: bytes, reply: Sequence[Any]) -> int:
        if status == b"missing":
            raise unknown(collection)
        count, uid, doomed = reply
        self._retirement.begin(uid.decode(), (pair.decode() for pair in doomed))
        return int(count)

    async def drop(self, collection: str) -> None:
        status, *reply = await self._server.run("drop", collection, what="delete the collection")
        self._dropped(collection, status, reply)

    def _dropped(self, name: str, status: bytes, reply: Sequence[Any]) -> None:
        match status:
            case b"missing":
                raise unknown(name)
            case b"alias":
                raise is_alias(name, reply[0].decode())
            case b"aliased":
                raise aliased(name, [alias.decode() for alias in reply])
        if reply and reply[0]:
            self._retirement.sweep(reply[0].decode())

    async def aliases(self) -> dict[str, str]:
        infos = await self.collections()
        return dict(sorted((alias, info.name) for info in infos for alias in info.aliases))

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        replace = "1" if replace_collection else ""
        status, *reply = await self._server.run("alias", alias, collection, replace, what="set the alias")
        if status == b"taken":
            raise taken(alias)
        self._dropped(collection if status == b"missing" else alias, status, reply)

    async def delete_alias(self, alias: str) -> None:
        status, *_ = await self._server.run("unalias", alias, what="delete the alias")
        if status == b"missing":
            raise unknown_alias(alias)

    async def ready(self) -> None:
        """Also goes on with deletions that this process or another was stopped in."""
        await self._server.complete()
        await self._server.advise()
        await self._retirement.resume()

    async def close(self) -> None:
        await self._retirement.close()
        await self._server.close()
