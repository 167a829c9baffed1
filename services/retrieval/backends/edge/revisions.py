"""Which revisions of a collection are hidden, in a SQLite file: the record of staging and publishing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.retrieval.backends.edge.tokens import transaction
from services.retrieval.revisions import Hidden, Pair


class RevisionFile:
    """`hidden` is what readers take, and is replaced only after the file has it durably.

    One thread writes. A reader that then looks at points holds it `steady` meanwhile: points of a revision
    that is staged after the reader took `hidden` would not be known to it as hidden.
    """

    def __init__(self, path: Path) -> None:
        self._steady = threading.Lock()
        self._turn = threading.Lock()  # so that a writer waits for one reader, not for all that follow it
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.execute(
            "create table if not exists hidden(document_id text not null, revision text not null, "
            "doomed integer not null, primary key (document_id, revision)) without rowid"
        )
        rows = self._db.execute("select document_id, revision, doomed from hidden").fetchall()
        self.hidden = Hidden(
            frozenset((document, revision) for document, revision, doomed in rows if not doomed),
            frozenset((document, revision) for document, revision, doomed in rows if doomed),
        )

    def set(self, hidden: Hidden) -> None:
        """Durable on return; all of it or, after a crash, nothing."""
        before = self.hidden
        with transaction(self._db):
            self._remove((before.staged | before.doomed) - hidden.staged - hidden.doomed)
            self._put(hidden.staged - before.staged, doomed=False)
            self._put(hidden.doomed - before.doomed, doomed=True)
        with self._turn:
            self._steady.acquire()
        self.hidden = hidden
        self._steady.release()

    @contextmanager
    def steady(self) -> Iterator[Hidden]:
        """What is hidden, which does not change in the body: keep that short."""
        with self._turn:
            self._steady.acquire()
        try:
            yield self.hidden
        finally:
            self._steady.release()

    def _remove(self, pairs: Iterable[Pair]) -> None:
        self._db.executemany("delete from hidden where document_id = ? and revision = ?", pairs)

    def _put(self, pairs: Iterable[Pair], *, doomed: bool) -> None:
        self._db.executemany(
            "insert or replace into hidden values (?, ?, ?)", ((*pair, doomed) for pair in pairs)
        )

    def close(self) -> None:
        self._db.close()
