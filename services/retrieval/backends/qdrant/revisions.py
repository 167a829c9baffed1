"""Hidden revisions, kept in the collection that they are of: every process that uses it sees the same.

A document with hidden revisions has one point without vectors, its record. Writing one point is one step
of the server, so a publish is too. Searches read the records first, and never find them themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from qdrant_client import models as q

from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.payload import DOCUMENT_ID, REVISION
from services.retrieval.revisions import Hidden, Pair

KIND = "ragline_kind"
RECORD = "revisions"
OF, STAGED, DOOMED = "of", "staged", "doomed"
PAGE = 1000
_NAMESPACE = uuid.UUID("0a8f3a52-4a8d-5f0e-8a5b-0d0f5f6f7c11")


def equals(key: str, value: str) -> q.FieldCondition:
    return q.FieldCondition(key=key, match=q.MatchValue(value=value))


IS_RECORD = equals(KIND, RECORD)


def of_revisions(document_id: str, revisions: Iterable[str]) -> q.Filter:
    return q.Filter(
        must=[
            equals(DOCUMENT_ID, document_id),
            q.FieldCondition(key=REVISION, match=q.MatchAny(any=[*revisions])),
        ]
    )


def hiding(hidden: Hidden) -> list[q.Condition]:
    """What a filter must not match, so that it leaves these out."""
    by_document: dict[str, list[str]] = {}
    for document_id, revision in sorted(hidden.staged | hidden.doomed):
        by_document.setdefault(document_id, []).append(revision)
    return [of_revisions(document_id, revisions) for document_id, revisions in by_document.items()]


class Records:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, collection: str, document_id: str | None = None) -> Hidden:
        """What is hidden in the collection, or of one of its documents."""
        must = [IS_RECORD] if document_id is None else [IS_RECORD, equals(OF, document_id)]
        staged: set[Pair] = set()
        doomed: set[Pair] = set()
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
                    return Hidden(frozenset(staged), frozenset(doomed))

    async def write(self, collection: str, document_id: str, hidden: Hidden) -> None:
        """What is hidden of this document from now on, in one step and durably."""
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
