"""The stored revisions that readers must not see, and how they are hidden, locked and deleted.

A document is replaced by storing its new revision hidden (`staged`) and then, in one step, showing it and
hiding the one that it replaces (`doomed`), whose points are deleted once nobody reads them any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import structlog

from services.core.errors import Conflict, NotFound, RaglineError
from services.retrieval.points import DOCUMENT_ID, REVISION

RevisionKey = tuple[str, str]
"""Names a revision: the document's id, and the revision."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HiddenRevisions:
    """A value: a writer replaces it by another, and a reader keeps the one that it began with."""

    staged: frozenset[RevisionKey] = field(default=frozenset())
    doomed: frozenset[RevisionKey] = field(default=frozenset())

    def __contains__(self, key: RevisionKey) -> bool:
        return key in self.staged or key in self.doomed

    def __len__(self) -> int:
        return len(self.staged) + len(self.doomed)

    def stage(self, keys: Iterable[RevisionKey]) -> HiddenRevisions:
        """Hide these until they are published."""
        return HiddenRevisions(self.staged | frozenset(keys), self.doomed)

    def publish(self, shown: RevisionKey, doomed: Iterable[RevisionKey]) -> HiddenRevisions:
        """Show one revision, and hide others for good."""
        doomed = frozenset(doomed)
        return HiddenRevisions(self.staged - {shown} - doomed, (self.doomed | doomed) - {shown})

    def doom(self, keys: Iterable[RevisionKey]) -> HiddenRevisions:
        """Hide these for good."""
        keys = frozenset(keys)
        return HiddenRevisions(self.staged - keys, self.doomed | keys)

    def forget(self, keys: Iterable[RevisionKey]) -> HiddenRevisions:
        """Leave out revisions that have no points any more."""
        keys = frozenset(keys)
        return HiddenRevisions(self.staged - keys, self.doomed - keys)

    def of(self, document_id: str) -> HiddenRevisions:
        """Keep those of one document."""
        return HiddenRevisions(
            frozenset(key for key in self.staged if key[0] == document_id),
            frozenset(key for key in self.doomed if key[0] == document_id),
        )


def revision_key(payload: Mapping[str, object]) -> RevisionKey:
    """Read which revision a point is of."""
    return str(payload[DOCUMENT_ID]), str(payload[REVISION])


def select_revisions(keys: Iterable[RevisionKey], *, keep: str | None, only: str | None) -> set[RevisionKey]:
    """Select those of one document's revisions that a deletion means."""
    return {key for key in keys if (only is None or key[1] == only) and (keep is None or key[1] != keep)}


def require_passages(key: RevisionKey, stored: int, expected: int | None) -> None:
    """Check that publishing would not leave the document without passages, or without some.

    Raises:
        Conflict: No passages are stored, or another number than `expected`.
    """
    document_id, revision = key
    if stored == 0:
        raise Conflict(
            f"no passage of revision {revision!r} of document {document_id!r} is stored: store them with "
            "`staged` first (POST /v1/passages), then publish"
        )
    if expected is not None and stored != expected:
        raise Conflict(
            f"{stored} passages of revision {revision!r} of document {document_id!r} are stored, "
            f"{expected} are to be published: store them again, then publish"
        )


def require_own_ids(stored: Iterable[Mapping[str, object]], offered: Mapping[str, RevisionKey]) -> None:
    """Check that no staged passage overwrites one of another revision, which readers may see.

    Args:
        stored: The payloads (id, document and revision) of the ids of `offered`.
        offered: The revision of each passage that is to be stored, by passage id.

    Raises:
        Conflict: An id belongs to another revision.
    """
    for payload in stored:
        if offered[str(payload["id"])] != revision_key(payload):
            raise Conflict(
                f"passage {payload['id']!r} is stored for revision {payload[REVISION]!r} of document "
                f"{payload[DOCUMENT_ID]!r}: a staged revision needs passage ids of its own"
            )


class DocumentLocks:
    """Allows one change of a document at a time, within this process.

    A publish is several steps: hide, wait for readers, delete. Nothing may be staged in between. Documents
    of the same id in two collections share a lock: a collection may have two names.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, documents: Iterable[str]) -> AsyncIterator[None]:
        """Lock these, in sorted order, so that two callers never wait for each other."""
        async with AsyncExitStack() as stack:
            for document in sorted(set(documents)):
                lock = self._locks.setdefault(document, asyncio.Lock())
                await stack.enter_async_context(lock)
            yield


Delete = Callable[[], Coroutine[None, None, None]]


class BackgroundDeletions:
    """Deletes what is hidden, each piece in a task of its own; a piece is not begun while it is under way.

    What a crash or `close` leaves is still hidden, and is found again.
    """

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, ...], asyncio.Task[None]] = {}

    def begin(self, key: tuple[str, ...], delete: Delete) -> None:
        """Run `delete` in the background. An unknown collection ends it, and its failure is logged."""
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.ensure_future(self._run(key, delete))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _run(self, key: tuple[str, ...], delete: Delete) -> None:
        try:
            await delete()
        except NotFound:
            return
        except RaglineError as error:
            log.warning("hidden passages are not deleted yet", what=" ".join(key), reason=error.message)

    async def wait_idle(self) -> None:
        """Return when everything that was begun is deleted, or has failed to be."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
