"""Feedback in a SQLite file, for one gateway: below RAGLINE_HOME, or in the folder that the address names."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TypeVar

from services.core.addresses import StoreAddress
from services.core.errors import ServiceUnavailable
from services.core.settings import HomeSettings
from services.core.wire.feedback import Feedback, FeedbackPage, FeedbackRequest

FILE = "feedback.sqlite3"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_tenant ON feedback (tenant, id);
"""

T = TypeVar("T")


class SqliteFeedback:
    """One connection, used by one thread at a time; a write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        await self._run(sqlite3.Connection.close)

    async def add(self, tenant: str, request: FeedbackRequest) -> Feedback:
        """See `FeedbackStore`."""
        at, body = datetime.now(UTC), request.model_dump_json()
        insert = "INSERT INTO feedback (tenant, at, body) VALUES (?, ?, ?)"
        row = (tenant, at.isoformat(), body)
        number = await self._run(lambda connection: connection.execute(insert, row).lastrowid)
        return Feedback(id=str(number), at=at, **request.model_dump())

    async def page(self, tenant: str, *, after: str, limit: int) -> FeedbackPage:
        """See `FeedbackStore`."""
        select = "SELECT id, at, body FROM feedback WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"
        start = int(after) if after.isdecimal() and len(after) < 19 else 0  # SQLite counts in 64 bits
        rows = await self._run(
            lambda connection: connection.execute(select, (tenant, start, limit + 1)).fetchall()
        )
        kept = [
            Feedback(id=str(number), at=at, **FeedbackRequest.model_validate_json(body).model_dump())
            for number, at, body in rows[:limit]
        ]
        return FeedbackPage(feedback=kept, next=kept[-1].id if len(rows) > limit else None)

    async def delete(self, tenant: str, id_: str) -> bool:
        """See `FeedbackStore`."""
        if not id_.isdecimal():
            return False
        remove = "DELETE FROM feedback WHERE tenant = ? AND id = ?"
        return bool(
            await self._run(lambda connection: connection.execute(remove, (tenant, int(id_))).rowcount)
        )

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def locked() -> T:
            with self._lock:
                return work(self._connection)

        try:
            return await asyncio.to_thread(locked)
        except (sqlite3.Error, OverflowError) as error:
            raise _unavailable(self._path, error) from error


def _unavailable(path: Path, error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"feedback cannot be kept in {path}: {error}; set FEEDBACK_URL", retry_after=60)


async def create(url: StoreAddress) -> SqliteFeedback:
    """Open the file, and make it where there is none."""
    folder = url.directory or HomeSettings.load().root / "feedback"

    def open_file() -> SqliteFeedback:
        folder.mkdir(parents=True, exist_ok=True)
        return SqliteFeedback(folder / FILE)

    try:
        return await asyncio.to_thread(open_file)
    except (OSError, sqlite3.Error) as error:
        raise _unavailable(folder / FILE, error) from error
