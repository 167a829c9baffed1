"""Which revisions of a collection are hidden, in a SQLite file: the record of staging and publishing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from services.retrieval.edge.tokens import transaction
from services.retrieval.revisions import Hidden, Pair


class RevisionFile:
    """`hidden` is what readers take, in one read, and is replaced only after the file has it durably.

    One thread writes, any thread reads `hidden`.
    """

    def __init__(self, path: Path) -> None:
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
        self.hidden = hidden

    def _remove(self, pairs: Iterable[Pair]) -> None:
        self._db.executemany("delete from hidden where document_id = ? and revision = ?", pairs)

    def _put(self, pairs: Iterable[Pair], *, doomed: bool) -> None:
        self._db.executemany(
            "insert or replace into hidden values (?, ?, ?)", ((*pair, doomed) for pair in pairs)
        )

    def close(self) -> None:
        self._db.close()
