"""Jobs in a SQLite file that one process owns. Blocking; a change is on the disk when a method returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from services.core.errors import ErrorDetail, RateLimited, ServiceUnavailable
from services.core.wire.dataprep import FINISHED, Job, JobFile, Status, status_of, unknown_job
from services.dataprep.jobs.store import (
    ALL_NAMES,
    ClaimedFile,
    IngestOrder,
    JobLimits,
    NamesFilter,
    UploadedFile,
)
from services.dataprep.parsing.chunking import Chunking

FORMAT = 1
LOCK_SECONDS = 2.0
"""How long a start waits for a predecessor that is just stopping."""
RETRY_AFTER = 5.0
"""Seconds after which a queue that was full is worth asking again."""

_TABLES = """
create table if not exists jobs(
  number integer primary key autoincrement, id text unique not null, made text not null, head text not null,
  finished text, status text not null
);
create table if not exists files(
  number integer primary key autoincrement, job text not null, at integer not null, open integer not null,
  collection text not null, document text not null, sha256 text not null,
  cancelled integer not null, body text not null, unique (job, at)
);
create index if not exists open_files on files(number) where open;
create index if not exists open_documents on files(collection, document, number) where open;
create index if not exists finished_jobs on jobs(finished) where finished is not null;
"""
_HEADS = """
select job, at, sha256, cancelled, body from files f where open and not exists (
  select 1 from files e
  where e.open and e.collection = f.collection and e.document = f.document and e.number < f.number
) order by cancelled desc, number limit ?
"""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Doomed:
    """An open file that was cancelled; `closed` where that was all there was to do."""

    key: Key
    closed: bool


class Journal:
    def __init__(self, path: Path, limits: JobLimits) -> None:
        """Raises `ServiceUnavailable` where another process owns the file or it cannot be written."""
        self._limits = limits
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._own()
        except (OSError, sqlite3.OperationalError) as error:
            raise ServiceUnavailable(
                f"the job store {path} cannot be used ({error}): another dataprep may own it; stop that one, "
                "or set JOBS_URL to another folder (sqlite:///path/to/dir) or to a Redis for many workers"
            ) from None

    def _own(self) -> None:
        self._db.execute("pragma locking_mode=exclusive")
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        (found,) = self._db.execute("pragma user_version").fetchone()
        if found not in {0, FORMAT}:
            raise ServiceUnavailable(
                f"the job store has format {found}, this version reads {FORMAT}: let the version that wrote "
                "it finish its jobs, or set JOBS_URL to another folder"
            )
        self._db.executescript(_TABLES)
        self._db.execute(f"pragma user_version={FORMAT}")
        with self._change():  # takes the lock, for as long as this process lives
            self._db.execute("update files set body = body where 0")

    def close(self) -> None:
        self._db.close()

    def add(self, job: str, order: IngestOrder, files: Sequence[UploadedFile]) -> Job:
        made = datetime.now(UTC)
        opened = [received.file.finished is False for received in files]
        status = status_of([received.file for received in files])
        with self._change():
            if self.open() + sum(opened) > self._limits.waiting:
                raise full(self._limits)
            head = orjson.dumps(asdict(order)).decode()
            finished = made.isoformat() if status in FINISHED else None
            self._db.execute(
                "insert into jobs(id, made, head, finished, status) values (?, ?, ?, ?, ?)",
                (job, made.isoformat(), head, finished, status),
            )
            for index, (received, is_open) in enumerate(zip(files, opened, strict=True)):
                file = received.file
                row = (job, index, is_open, order.collection, file.document_id, received.sha256, _dump(file))
                self._db.execute(
                    "insert into files(job, at, open, collection, document, sha256, cancelled, body)"
                    " values (?, ?, ?, ?, ?, ?, 0, ?)",
                    row,
                )
        return self.get(job)

    def get(self, job: str) -> Job:
        row = self._db.execute("select id, made, head, finished from jobs where id = ?", (job,)).fetchone()
        if row is None:
            raise unknown_job(job)
        return self._job(row)

    def jobs(self, status: Status | None, limit: int, names: NamesFilter = ALL_NAMES) -> list[Job]:
        """By their last durable status."""
        query = "select id, made, head, finished from jobs where 1 "
        values: tuple[str | int, ...] = ()
        if status in FINISHED:
            query, values = query + "and status = ? ", (status,)
        elif status is not None:
            query += "and finished is null "
        if names.prefix:
            query += "and substr(json_extract(head, '$.collection'), 1, ?) = ? "
            values += (len(names.prefix), names.prefix)
        if names.without:
            query, values = (
                query + "and instr(json_extract(head, '$.collection'), ?) = 0 ",
                (*values, names.without),
            )
        rows = self._db.execute(query + "order by number desc limit ?", (*values, limit)).fetchall()
        return [self._job(row) for row in rows]

    def open_keys(self) -> list[Key]:
        return list(self._db.execute("select job, at from files where open"))

    def is_open(self, key: Key) -> bool:
        return bool(self._db.execute("select 1 from files where job = ? and at = ? and open", key).fetchone())

    def open(self) -> int:
        (count,) = self._db.execute("select count(*) from files where open").fetchone()
        return int(count)

    def take(self, held: Collection[Key]) -> ClaimedFile | None:
        """The next file that may be ingested and is none of these."""
        rows = self._db.execute(_HEADS, (len(held) + 1,)).fetchall()
        row = next((row for row in rows if (row[0], row[1]) not in held), None)
        if row is None:
            return None
        job, at, sha256, is_cancelled, body = row
        before = JobFile.model_validate_json(body)
        update = {"attempts": before.attempts + 1, "started_at": datetime.now(UTC)}
        with self._change():
            self._db.execute(
                "update files set body = ? where job = ? and at = ?",
                (_dump(before.model_copy(update=update)), job, at),
            )
        file = before.model_copy(update={**update, "status": "running"})
        return ClaimedFile(job, at, self._order(job), file, sha256, cancelled=bool(is_cancelled))

    def finish(self, job: str, index: int, file: JobFile) -> Job | None:
        """None where it has finished before."""
        with self._change():
            changed = self._db.execute(
                "update files set open = 0, body = ? where job = ? and at = ? and open",
                (_dump(file), job, index),
            ).rowcount
            self._settle(job)
        return self.get(job) if changed else None

    def cancel(
        self,
        job: str | None,
        collection: str,
        document: str | None,
        *,
        held: Collection[Key],
        why: ErrorDetail,
    ) -> list[Doomed]:
        """Cancel open files of a job, or of a collection's document or all of them."""
        query = "select job, at, body from files where open and "
        if job is not None:
            rows = self._db.execute(query + "job = ?", (job,)).fetchall()
        else:
            rows = self._db.execute(
                query + "collection = ? and (? is null or document = ?)", (collection, document, document)
            ).fetchall()
        doomed: list[Doomed] = []
        with self._change():
            for job_, at, body in rows:
                file = JobFile.model_validate_json(body)
                is_held = (job_, at) in held
                doomed.append(Doomed((job_, at), closed=not file.attempts and not is_held))
                self._db.execute(
                    "update files set cancelled = 1, open = ?, body = ? where job = ? and at = ?",
                    (not doomed[-1].closed, body if is_held else _dump(cancel_file(file, why)), job_, at),
                )
            for settled in {entry.key[0] for entry in doomed}:
                self._settle(settled)
        return doomed

    def sweep(self) -> None:
        """Forget finished jobs beyond those to keep."""
        limits = self._limits
        oldest = datetime.fromtimestamp(datetime.now(UTC).timestamp() - limits.kept_seconds, UTC).isoformat()
        with self._change():
            self._db.execute(
                "delete from jobs where finished is not null and (finished < ? or number not in "
                "(select number from jobs where finished is not null order by finished desc limit ?))",
                (oldest, limits.kept),
            )
            self._db.execute("delete from files where not open and job not in (select id from jobs)")

    def _settle(self, job: str) -> None:
        """Record the job's end where none of its files is open any more."""
        (still_open,) = self._db.execute(
            "select exists (select 1 from files where job = ? and open)", (job,)
        ).fetchone()
        if not still_open:
            bodies = self._db.execute("select body from files where job = ?", (job,)).fetchall()
            status = status_of([JobFile.model_validate_json(body) for (body,) in bodies])
            now = datetime.now(UTC).isoformat()
            self._db.execute("update jobs set status = ?, finished = ? where id = ?", (status, now, job))

    def _job(self, row: tuple[str, str, str, str | None]) -> Job:
        id_, made, head, finished = row
        bodies = self._db.execute("select body from files where job = ? order by at", (id_,)).fetchall()
        files = [JobFile.model_validate_json(body) for (body,) in bodies]
        return job_of(id_, orjson.loads(head)["collection"], made, finished, files)

    def _order(self, job: str) -> IngestOrder:
        (head,) = self._db.execute("select head from jobs where id = ?", (job,)).fetchone()
        return order_of(head)

    @contextmanager
    def _change(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


def order_of(head: str | bytes) -> IngestOrder:
    """An order from its JSON."""
    fields = orjson.loads(head)
    return IngestOrder(**{**fields, "chunking": Chunking(**fields["chunking"])})


def job_of(id_: str, collection: str, made: str, finished: str | None, files: list[JobFile]) -> Job:
    reasons = (file.reason or (file.error.message if file.error else "") for file in files)
    return Job(
        id=id_,
        status=status_of(files),
        collection=collection,
        files=files,
        reason=next((reason for reason in reasons if reason), ""),
        created_at=datetime.fromisoformat(made),
        finished_at=datetime.fromisoformat(finished) if finished else None,
    )


def cancel_file(file: JobFile, why: ErrorDetail) -> JobFile:
    update = {"status": "cancelled", "error": why, "reason": "", "finished_at": datetime.now(UTC)}
    return file.model_copy(update=update)


def full(limits: JobLimits) -> RateLimited:
    return RateLimited(
        f"{limits.waiting} files wait to be ingested, which is all that DATAPREP_QUEUE allows: send it again "
        "later",
        retry_after=RETRY_AFTER,
    )


def _dump(file: JobFile) -> str:
    return file.model_dump_json(exclude_defaults=True)
