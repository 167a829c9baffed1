"""Hidden revisions, kept in the collection that they are of: every process that uses it sees the same.

A document with hidden revisions has one point without vectors, its record. Writing one point is one step
of the server, so a publish is too. Searches read the records first, and never find them themselves.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from functools import partial

from qdrant_client import models as q

from services.core.context import start_request
from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.points import DOCUMENT_ID, REVISION
from services.retrieval.revisions import BackgroundDeletions, DocumentLocks, HiddenRevisions, RevisionKey

KIND = "ragline_kind"
RECORD = "revisions"
OF, STAGED, DOOMED = "of", "staged", "doomed"
PAGE = 1000
PURGE_SECONDS = 60.0
"""The longest that one deletion may take."""
_NAMESPACE = uuid.UUID("0a8f3a52-4a8d-5f0e-8a5b-0d0f5f6f7c11")


def equals(key: str, value: str) -> q.FieldCondition:
    """Match points whose payload has this value."""
    return q.FieldCondition(key=key, match=q.MatchValue(value=value))


IS_RECORD = equals(KIND, RECORD)


def revisions_filter(document_id: str, revisions: Iterable[str]) -> q.Filter:
    """Match the passages of these revisions of a document."""
    return q.Filter(
        must=[
            equals(DOCUMENT_ID, document_id),
            q.FieldCondition(key=REVISION, match=q.MatchAny(any=[*revisions])),
        ]
    )


def hidden_conditions(hidden: HiddenRevisions) -> list[q.Condition]:
    """List what a filter must not match, so that it leaves hidden revisions out."""
    by_document: dict[str, list[str]] = {}
    for document_id, revision in sorted(hidden.staged | hidden.doomed):
        by_document.setdefault(document_id, []).append(revision)
    return [revisions_filter(document_id, revisions) for document_id, revisions in by_document.items()]


class RevisionRecords:
    """Reads and writes the records of a server's collections."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, collection: str, document_id: str | None = None) -> HiddenRevisions:
        """Read what is hidden in the collection, or of one of its documents."""
        must = [IS_RECORD] if document_id is None else [IS_RECORD, equals(OF, document_id)]
        staged: set[RevisionKey] = set()
        doomed: set[RevisionKey] = set()
        offset = None
        async with self._connection.call("read which revisions are hidden", collection):
            while True:
                records, offset = await self._connection.client.scroll(
                    collection, q.Filter(must=[*must]), limit=PAGE, offset=offset, with_payload=True
                )
                for payload in (record.payload or {} for record in records):
                    staged.update((str(payload[OF]), str(revision)) for revision in payload[STAGED])
                    doomed.update((str(payload[OF]), str(revision)) for revision in payload[DOOMED])
                if offset is None:
                    return HiddenRevisions(frozenset(staged), frozenset(doomed))

    async def write(self, collection: str, document_id: str, hidden: HiddenRevisions) -> None:
        """Record what is hidden of this document from now on, in one step and durably."""
        point = str(uuid.uuid5(_NAMESPACE, document_id))
        async with self._connection.call("record which revisions are hidden", collection):
            if not hidden:
                await self._connection.client.delete(collection, q.PointIdsList(points=[point]), wait=True)
                return
            payload = {
                KIND: RECORD,
                OF: document_id,
                STAGED: sorted(revision for _, revision in hidden.staged),
                DOOMED: sorted(revision for _, revision in hidden.doomed),
            }
            record = q.PointStruct(id=point, vector={}, payload=payload)
            await self._connection.client.upsert(collection, [record], wait=True)


class Purger:
    """Deletes doomed revisions in the background, after a grace period.

    Other processes may still read what they found before. What a crash or `close` leaves is doomed and found
    again.
    """

    def __init__(
        self, connection: Connection, records: RevisionRecords, locks: DocumentLocks, grace_seconds: float
    ) -> None:
        self._connection = connection
        self._records = records
        self._locks = locks
        self._grace = grace_seconds
        self.deletions = BackgroundDeletions()

    def begin(self, collection: str, revisions: Iterable[RevisionKey]) -> None:
        """Purge these after the grace period, counted from the first call that names them."""
        for revision in revisions:
            self.deletions.begin((collection, *revision), partial(self._purge_later, collection, revision))

    async def _purge_later(self, collection: str, revision: RevisionKey) -> None:
        await asyncio.sleep(self._grace)
        start_request("", PURGE_SECONDS)
        async with self._locks.hold([revision[0]]):
            await self.purge(collection, revision)

    async def purge(self, collection: str, revision: RevisionKey) -> None:
        """Delete the points of a doomed revision and forget it; nothing where it is not doomed any more."""
        document_id, name = revision
        hidden = await self._records.read(collection, document_id)
        if revision not in hidden.doomed:
            return
        async with self._connection.call("delete passages", collection):
            selector = q.FilterSelector(filter=revisions_filter(document_id, [name]))
            await self._connection.client.delete(collection, selector, wait=True)
        await self._records.write(collection, document_id, hidden.forget([revision]))
