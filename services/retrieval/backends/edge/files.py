"""The durable files of a collection: token vectors, hidden revisions, and the engine's log of writes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from services.core.files import sync_folder
from services.core.wire.passages import TokenVectors
from services.retrieval.revisions import HiddenRevisions, RevisionKey

PAGE_BYTES = 16384
"""A passage's token vectors are 40 to 80 KB; large pages read and write them about 1.4 times faster."""


class TokenFile:
    """Token vectors in a SQLite file, by row number; the passages' payloads say which row is theirs.

    Rows are written once and never changed; a row's number is never used again. One thread may write while
    another reads. `crashed` tells that the file was not closed the last time, so that it may hold rows that
    no passage refers to.
    """

    def __init__(self, path: Path) -> None:
        self._writer = self._connect(path)
        self._writer.execute(f"pragma page_size={PAGE_BYTES}")
        self._writer.execute("pragma journal_mode=wal")
        self._writer.execute("pragma synchronous=full")
        self._writer.execute(
            "create table if not exists token_vectors(row integer primary key autoincrement, "
            "tokens integer not null, dim integer not null, data blob not null)"
        )
        self._reader = self._connect(path)
        (self.crashed,) = self._writer.execute("pragma user_version").fetchone()
        self._writer.execute("pragma user_version=1")

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)

    def add(self, vectors: Sequence[TokenVectors]) -> list[int]:
        """Store these durably; returns the row of each."""
        if not vectors:
            return []
        insert = "insert into token_vectors(tokens, dim, data) values (?, ?, ?)"
        rows = []
        with transaction(self._writer), closing(self._writer.cursor()) as cursor:
            for tokens in vectors:
                cursor.execute(insert, (tokens.tokens, tokens.dim, tokens.data))
                rows.append(cursor.lastrowid or 0)
        return rows

    def read(self, rows: Sequence[int]) -> dict[int, TokenVectors]:
        """Read these, by row; a row that is gone is absent."""
        marks = ",".join("?" * len(rows))
        select = f"select row, tokens, dim, data from token_vectors where row in ({marks})"  # noqa: S608
        return {
            row: TokenVectors(data=data, tokens=tokens, dim=dim)
            for row, tokens, dim, data in self._reader.execute(select, rows)
        }

    def remove(self, rows: Iterable[int]) -> None:
        """Remove these; rows that are gone already are ignored."""
        doomed = [(row,) for row in rows]
        if doomed:
            with transaction(self._writer):
                self._writer.executemany("delete from token_vectors where row = ?", doomed)

    def keep_only(self, rows: set[int]) -> None:
        """Remove every row but these."""
        stored = {row for (row,) in self._writer.execute("select row from token_vectors")}
        self.remove(stored - rows)

    def close(self, *, clean: bool) -> None:
        """Close the file; `clean` where every row belongs to a passage."""
        self._reader.close()
        if clean:
            self._writer.execute("pragma user_version=0")
        self._writer.close()


class RevisionFile:
    """The hidden revisions of a collection in a SQLite file: the record of staging and publishing.

    `hidden` is what readers take, and is replaced only after the file has it durably. One thread writes. A
    reader that then looks at points takes it by `hold`: points of a revision that is staged after the reader
    took `hidden` would not be known to it as hidden.
    """

    def __init__(self, path: Path) -> None:
        self._held = threading.Lock()
        self._turn = threading.Lock()  # so that a writer waits for one reader, not for all that follow it
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.execute(
            "create table if not exists hidden(document_id text not null, revision text not null, "
            "doomed integer not null, primary key (document_id, revision)) without rowid"
        )
        rows = self._db.execute("select document_id, revision, doomed from hidden").fetchall()
        self.hidden = HiddenRevisions(
            frozenset((document, revision) for document, revision, doomed in rows if not doomed),
            frozenset((document, revision) for document, revision, doomed in rows if doomed),
        )

    def set(self, hidden: HiddenRevisions) -> None:
        """Replace what is hidden, durably on return; after a crash, all of it is replaced or nothing."""
        before = self.hidden
        with transaction(self._db):
            self._remove((before.staged | before.doomed) - hidden.staged - hidden.doomed)
            self._put(hidden.staged - before.staged, doomed=False)
            self._put(hidden.doomed - before.doomed, doomed=True)
        with self._turn:
            self._held.acquire()
        self.hidden = hidden
        self._held.release()

    @contextmanager
    def hold(self) -> Iterator[HiddenRevisions]:
        """Give what is hidden, which does not change in the body: keep that short."""
        with self._turn:
            self._held.acquire()
        try:
            yield self.hidden
        finally:
            self._held.release()

    def _remove(self, keys: Iterable[RevisionKey]) -> None:
        self._db.executemany("delete from hidden where document_id = ? and revision = ?", keys)

    def _put(self, keys: Iterable[RevisionKey], *, doomed: bool) -> None:
        self._db.executemany(
            "insert or replace into hidden values (?, ?, ?)", ((*key, doomed) for key in keys)
        )

    def close(self) -> None:
        self._db.close()


class transaction:  # noqa: N801 - reads as the statement it is
    """Runs all statements of the body or none; `sqlite3`'s own context manager begins too late."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("commit" if kind is None else "rollback")


class WriteLog:
    """The engine's log of writes, which it keeps in memory-mapped files of `folder`, brought to the disk.

    The files are held open between calls; one thread calls all of these.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def sync(self) -> bool:
        """Bring what was logged to the disk.

        Returns:
            False where there are other files than at the last `hold`, of which a power failure might leave
            no name; nothing is done then.
        """
        if not self._held or self._names() != self._held.keys():
            return False
        for descriptor in self._held.values():
            os.fdatasync(descriptor)
        return True

    def hold(self) -> None:
        """Open the files that are there now, and bring their names to the disk."""
        self.close()
        for name in self._names():
            with suppress(FileNotFoundError):  # the engine gave it another name just now
                self._held[name] = os.open(self._folder / name, os.O_RDONLY)
        sync_folder(self._folder)

    def _names(self) -> set[str]:
        """List the files that writes go to; `first-index` only tells where the log begins."""
        return {path.name for path in self._folder.glob("open-*")}

    def close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])
