"""`redis://`: jobs and their bytes in Redis (7.0 or newer, or Valkey); any number of dataprep processes share
the queue. `rediss://` is by TLS; REDIS_USERNAME and REDIS_PASSWORD log in."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import orjson
import structlog
from pydantic import Field

from services.core.addresses import RedisAddress, StoreAddress
from services.core.errors import ErrorDetail, PayloadTooLarge
from services.core.settings import Settings as BaseSettings
from services.core.wire.dataprep import Job, JobFile, Status, unknown_job
from services.dataprep.backends.redis.client import RedisClient
from services.dataprep.backends.sqlite.journal import cancel_file, full, job_of, order_of
from services.dataprep.jobs.changes import Changes, follow, wait
from services.dataprep.jobs.store import (
    ALL_NAMES,
    ClaimedFile,
    IngestOrder,
    JobLimits,
    Loss,
    NamesFilter,
    StoreUnavailable,
    UploadedFile,
    cancellation_error,
)

WORK = "work"
PAGE = 100
UNSUBMITTED_SECONDS = 3600
"""Bytes of an upload that never became a job are gone after so long."""
LARGEST_BYTES = 512 * 1024 * 1024
"""What a Redis value can hold."""

log = structlog.get_logger(__name__)


class Settings(BaseSettings):
    """The Redis job store."""

    lease_seconds: float = Field(
        30,
        gt=0,
        validation_alias="JOBS_LEASE_SECONDS",
        description="redis: a worker that is not heard of for so long has lost its files to the others",
    )


class RedisJobs:
    """`lease` is in seconds; a worker renews it three times as often."""

    def __init__(self, client: RedisClient, limits: JobLimits, lease: float) -> None:
        self._redis = client
        self._limits = limits
        self._lease = lease
        self._consumer = uuid.uuid4().hex
        self._changes = Changes()
        self._listening = asyncio.ensure_future(client.listen("changes", self._changes.tell))

    @property
    def files(self) -> Path:
        return Path(gettempdir())

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Path]:
        if await self._redis.hlen("open") >= self._limits.waiting:
            raise full(self._limits)
        with TemporaryDirectory(prefix="ragline-upload-") as folder:
            yield Path(folder)

    async def submit(self, order: IngestOrder, files: Sequence[UploadedFile]) -> Job:
        job = uuid.uuid4().hex
        rows: list[str] = []
        for at, received in enumerate(files):
            file = received.file
            document = "" if file.finished else f"{order.collection}/{file.document_id}"
            rows += [document, _dump(file), received.sha256]
            if document:
                if file.size > LARGEST_BYTES:
                    raise PayloadTooLarge(f"{file.name} is larger than a Redis value can be (512 MiB)")
                data = await asyncio.to_thread(received.path.read_bytes)
                await self._redis.put(f"bytes:{job}:{at}", data, UNSUBMITTED_SECONDS)
        head = orjson.dumps(asdict(order)).decode()
        accepted = await self._redis.run("submit", job, *_now(), head, str(self._limits.waiting), *rows)
        if accepted == -1:
            raise full(self._limits)
        return await self.get(job)

    async def cancel(self, job: str) -> Job:
        known = await self.get(job)
        await self._cancel(
            {f"{job}:{at}": file for at, file in enumerate(known.files)},
            cancellation_error("the job was cancelled"),
        )
        return await self.get(job)

    async def cancel_documents(self, collection: str, document_id: str | None, why: str) -> int:
        prefix = f"{collection}/"
        opened = await self._redis.hgetall("open")
        doomed = [
            f
            for f, document in opened.items()
            if document.startswith(prefix) and document_id in {None, document.removeprefix(prefix)}
        ]
        files = {f: await self._file(f) for f in doomed}
        count = await self._cancel({f: file for f, file in files.items() if file}, cancellation_error(why))
        for f in doomed:
            with self._changes.watching(_job(f)) as changed:
                while await self._redis.hget("open", f):
                    await wait(changed, self._lease / 3)
        return count

    async def _cancel(self, files: dict[str, JobFile], why: ErrorDetail) -> int:
        rows = [part for f, file in files.items() for part in (f, _dump(cancel_file(file, why)))]
        return int(str(await self._redis.run("cancel", *_now(), *rows)))

    async def get(self, job: str) -> Job:
        head = await self._redis.hgetall(f"job:{job}")
        if not head:
            raise unknown_job(job)
        bodies = await self._redis.hgetall(f"files:{job}")
        files = [JobFile.model_validate_json(bodies[number]) for number in sorted(bodies, key=int)]
        collection = orjson.loads(head["head"])["collection"]
        return job_of(job, collection, head["made"], head.get("finished"), files)

    async def jobs(self, status: Status | None, limit: int, names: NamesFilter = ALL_NAMES) -> list[Job]:
        found: list[Job] = []
        start = 0
        while len(found) < limit and (page := await self._redis.newest("jobs", start, PAGE)):
            for name in page:
                job = await self.get(name)
                if status in {None, job.status} and names.lets(job.collection):
                    found.append(job)
            start += PAGE
        return found[:limit]

    def changes(self, job: str) -> AsyncIterator[Job]:
        return follow(self.get, self._changes, job)

    async def waiting(self) -> int:
        return await self._redis.hlen("open") - await self._redis.hlen("held")

    async def take(self) -> ClaimedFile:
        token = uuid.uuid4().hex
        with self._changes.watching(WORK) as changed:
            while True:
                lease = str(round(self._lease * 1e3))
                taken = await self._redis.run("take", self._consumer, token, lease)
                if isinstance(taken, list):
                    claimed = _claimed_file(taken, token)
                    if not claimed.cancelled:
                        with suppress(StoreUnavailable):
                            await self.report(claimed, claimed.file)
                    return claimed
                await wait(changed, self._lease / 10)

    @asynccontextmanager
    async def bytes_of(self, claimed: ClaimedFile) -> AsyncIterator[Path]:
        data = await self._redis.get(f"bytes:{_name(claimed)}")
        with TemporaryDirectory(prefix="ragline-file-") as folder:
            path = Path(folder) / "0"
            await asyncio.to_thread(path.write_bytes, data)
            yield path

    async def report(self, claimed: ClaimedFile, file: JobFile) -> None:
        await self._redis.run("report", _name(claimed), claimed.token, _dump(file))

    async def hold(self, claimed: ClaimedFile) -> Loss:
        """While Redis does not answer nobody else can take it either."""
        name = _name(claimed)
        with self._changes.watching(name) as changed:
            while True:
                with suppress(StoreUnavailable):
                    state = await self._redis.run("renew", name, claimed.token, self._consumer)
                    if state in {b"taken", b"cancelled"}:
                        return "taken" if state == b"taken" else "cancelled"
                await wait(changed, self._lease / 3)

    async def finish(self, claimed: ClaimedFile, file: JobFile) -> Job | None:
        ours = await self._redis.run("finish", _name(claimed), claimed.token, _dump(file), *_now())
        if not ours:
            return None
        job = await self.get(claimed.job)
        if job.finished:
            oldest = time.time() - self._limits.kept_seconds
            await self._redis.run("sweep", str(oldest), str(self._limits.kept))
        return job

    async def release(self, claimed: ClaimedFile) -> None:
        file = claimed.file.model_copy(update={"status": "queued"})
        await self._redis.run("release", _name(claimed), claimed.token, _dump(file))

    async def ready(self) -> None:
        await self._redis.ping()

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self._redis.close()

    async def _file(self, f: str) -> JobFile | None:
        job, _, number = f.rpartition(":")
        body = await self._redis.hget(f"files:{job}", number)
        return JobFile.model_validate_json(body) if body else None


def _name(claimed: ClaimedFile) -> str:
    return f"{claimed.job}:{claimed.index}"


def _job(f: str) -> str:
    return f.rpartition(":")[0]


def _claimed_file(taken: list[object], token: str) -> ClaimedFile:
    f, attempts, doomed, body, sha256, head = (
        entry.decode() if isinstance(entry, bytes) else entry for entry in taken
    )
    job, _, number = str(f).rpartition(":")
    update = {"status": "running", "attempts": attempts, "started_at": datetime.now(UTC)}
    file = JobFile.model_validate_json(str(body)).model_copy(update=update)
    order = order_of(str(head))
    return ClaimedFile(job, int(number), order, file, str(sha256), cancelled=bool(doomed), token=token)


def _now() -> tuple[str, str]:
    now = datetime.now(UTC)
    return f"{now.timestamp():.6f}", now.isoformat()


def _dump(file: JobFile) -> str:
    return file.model_dump_json(exclude_defaults=True)


async def create(url: StoreAddress, limits: JobLimits) -> RedisJobs:
    """A client of the server that `url` names. Raises `StoreUnavailable` where it does not answer."""
    settings = Settings.load()
    client = RedisClient(RedisAddress.of(url))
    try:
        await client.start()
    except BaseException:
        await client.close()
        raise
    return RedisJobs(client, limits, settings.lease_seconds)
