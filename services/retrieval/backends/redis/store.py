"""The store on a Redis: each method one step of the server, or a few."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from itertools import chain
from typing import Any

from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Candidates, Page, Query
from services.retrieval.backends.redis.points import (
    hash_document,
    hash_revision,
    make_arguments,
    make_filter,
    make_query_words,
    parse_payload,
    read_candidates,
    unpack_tokens,
)
from services.retrieval.backends.redis.server import Argument, Purger, Server
from services.retrieval.collections import (
    Schema,
    alias_is_collection,
    collection_has_aliases,
    name_is_alias,
    unknown_alias,
    unknown_collection,
)
from services.retrieval.filters import TermFilter, parse_filter
from services.retrieval.points import (
    Point,
    check_query_vector,
    describe_document,
    make_points,
    point_id,
    read_passage,
    to_unit_length,
)
from services.retrieval.revisions import require_own_ids, require_passages, revision_key

BATCH = 32
"""Passages per step: the server answers nobody meanwhile, about 20 ms."""
PAGE = 500


class RedisStore:
    """A store that keeps nothing here: what others do to the same Redis at the same time is seen at once."""

    def __init__(self, server: Server, *, index: str, ef: int, token_vectors: bool) -> None:
        self._server = server
        self._index = index
        self._ef = ef
        self._token_vectors = token_vectors
        self._purger = Purger(server)

    async def search(self, collection: str, query: Query) -> Candidates:
        where = parse_filter(query.where)
        vector = None
        if query.vector is not None:
            vector = to_unit_length(check_query_vector(query.vector, collection, len(query.vector)))
        status, *reply = await self._server.search(
            collection,
            b"" if vector is None else vector.tobytes(),
            "1" if query.dense else "",
            query.k,
            max(self._ef, query.k),
            make_filter(TermFilter() if where.impossible else where),
            make_query_words(query.text),
            "1" if query.with_vectors else "",
        )
        if status == b"missing":
            raise unknown_collection(collection)
        if status == b"dim":
            check_query_vector(query.vector or [], collection, reply[0])
        if where.impossible:
            return Candidates()
        return read_candidates(reply, vector, with_vectors=query.with_vectors)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        points = [point_id(id_) for id_ in ids]
        reply = await self._server.run(
            "neighbours", collection, before, after, *points, what="fetch passages"
        )
        return {
            id_: [read_passage(parse_payload(text)) for text in around]
            for id_, around in zip(ids, reply, strict=True)
            if around
        }

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        status, *reply = await self._server.run(
            "scroll", collection, after or "", limit, what="list passages"
        )
        if status == b"missing":
            raise unknown_collection(collection)
        last, found = reply
        return Page([read_passage(parse_payload(text)) for text in found], last.decode() or None)

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        points = [point_id(id_) for id_ in ids]
        reply = await self._server.run("tokens", collection, *points, what="fetch token vectors")
        return {id_: unpack_tokens(packed) for id_, packed in zip(ids, reply, strict=True) if packed}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """List each document as it is when its page is read; a scan may show one twice."""
        found: dict[str, DocumentInfo] = {}
        cursor = "0"
        while True:
            after, page = await self._server.run("documents", collection, cursor, PAGE, what="list documents")
            for count, text in page:
                document = describe_document(parse_payload(text), count)
                found[document.id] = document
            cursor = after.decode()
            if cursor == "0":
                return sorted(found.values(), key=lambda document: (document.name, document.id))

    async def collections(self) -> list[CollectionInfo]:
        described = await self._server.run("describe", what="list collections")
        infos = [
            CollectionInfo.model_validate(
                {
                    **parse_payload(text),
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
        points = await asyncio.to_thread(make_points, passages)
        schema = Schema(model, len(points[0].vector))
        for start in range(0, len(points), BATCH):
            batch = await asyncio.to_thread(self._make_arguments, points[start : start + BATCH])
            await self._store(collection, schema, staged, batch)

    def _make_arguments(self, points: Sequence[Point]) -> list[Argument]:
        arguments = (make_arguments(point, with_tokens=self._token_vectors) for point in points)
        return list(chain.from_iterable(arguments))

    async def _store(self, collection: str, schema: Schema, staged: bool, batch: Sequence[Argument]) -> None:
        """Store a batch in one step, after what has to be there or gone before it."""
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
                    await self._purger.purge(reply[0].decode(), reply[1].decode())
                case b"taken":
                    stored, offered = map(parse_payload, reply)
                    require_own_ids([stored], {str(stored["id"]): revision_key(offered)})

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
        key = (document_id, revision)
        expected = "" if passages is None else passages
        status, *reply = await self._server.run(
            "publish", collection, hash_revision(key), expected, what="publish a revision"
        )
        if status == b"incomplete":
            require_passages(key, reply[0], passages)
        return self._purge_doomed(collection, status, reply)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        keep, only = (
            "" if name is None else hash_revision((document_id, name)) for name in (keep_revision, revision)
        )
        status, *reply = await self._server.run(
            "delete", collection, hash_document(document_id), keep, only, what="delete passages"
        )
        return 0 if status == b"missing" else self._purge_doomed(collection, status, reply)

    def _purge_doomed(self, collection: str, status: bytes, reply: Sequence[Any]) -> int:
        """Begin to delete what a script hid. Returns how many passages that is."""
        if status == b"missing":
            raise unknown_collection(collection)
        count, uid, doomed = reply
        self._purger.begin(uid.decode(), (revision.decode() for revision in doomed))
        return int(count)

    async def drop(self, collection: str) -> None:
        status, *reply = await self._server.run("drop", collection, what="delete the collection")
        self._finish_drop(collection, status, reply)

    def _finish_drop(self, name: str, status: bytes, reply: Sequence[Any]) -> None:
        """Begin to delete the keys of a collection that a script dropped, or raise what it refused."""
        match status:
            case b"missing":
                raise unknown_collection(name)
            case b"alias":
                raise name_is_alias(name, reply[0].decode())
            case b"aliased":
                raise collection_has_aliases(name, [alias.decode() for alias in reply])
        if reply and reply[0]:
            self._purger.sweep(reply[0].decode())

    async def aliases(self) -> dict[str, str]:
        infos = await self.collections()
        return dict(sorted((alias, info.name) for info in infos for alias in info.aliases))

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        replace = "1" if replace_collection else ""
        status, *reply = await self._server.run("alias", alias, collection, replace, what="set the alias")
        if status == b"taken":
            raise alias_is_collection(alias)
        self._finish_drop(collection if status == b"missing" else alias, status, reply)

    async def delete_alias(self, alias: str) -> None:
        status, *_ = await self._server.run("unalias", alias, what="delete the alias")
        if status == b"missing":
            raise unknown_alias(alias)

    async def ready(self) -> None:
        """Return when it can serve; go on with deletions that this process or another was stopped in."""
        await self._server.check_indexes()
        await self._server.advise()
        await self._purger.resume()

    async def close(self) -> None:
        await self._purger.deletions.close()
        await self._server.close()
