"""Token vectors in a SQLite file, by row number; the passages' payloads say which row is theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from services.core.wire.passages import TokenVectors

PAGE_BYTES = 16384
"""A passage's token vectors are 40 to 80 KB; large pages read and write them about 1.4 times faster."""


class TokenFile:
    """Rows are written once and never changed; a row's number is never used again.

    One thread may write while another reads. `crashed` tells that the file was not closed the last
    time, so that it may hold rows that no passage refers to.
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
        """Store durably; the row of each."""
        if not vectors:
            return []
        insert = "insert into token_vectors(tokens, dim, data) values (?, ?, ?)"
        rows = []
        with transaction(self._writer), closing(self._writer.cursor()) as cursor:
            for each in vectors:
                cursor.execute(insert, (each.tokens, each.dim, each.data))
                rows.append(cursor.lastrowid or 0)
        return rows

    def read(self, rows: Sequence[int]) -> dict[int, TokenVectors]:
        """By row; a row that is gone is absent."""
        marks = ",".join("?" * len(rows))
        select = f"select row, tokens, dim, data from token_vectors where row in ({marks})"  # noqa: S608
        return {
            row: TokenVectors(data=data, tokens=tokens, dim=dim)
            for row, tokens, dim, data in self._reader.execute(select, rows)
        }

    def remove(self, rows: Iterable[int]) -> None:
        doomed = [(row,) for row in rows]
        if doomed:
            with transaction(self._writer):
                self._writer.executemany("delete from token_vectors where row = ?", doomed)

    def keep_only(self, rows: set[int]) -> None:
        """Remove every row but these."""
        stored = {row for (row,) in self._writer.execute("select row from token_vectors")}
        self.remove(stored - rows)

    def close(self, *, clean: bool) -> None:
        """`clean` where every row belongs to a passage."""
        self._reader.close()
        if clean:
            self._writer.execute("pragma user_version=0")
        self._writer.close()


class transaction:  # noqa: N801 - reads as the statement it is
    """All statements of the body or none; `sqlite3`'s own context manager begins too late."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("commit" if kind is None else "rollback")
