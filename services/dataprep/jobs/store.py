"""The protocol of a job store: where accepted files wait, durably, until they are ingested.

A backend is one place in `backends/`, a module or a package, that exports `create` (`CreateJobStore`); the
scheme of `JOBS_URL` is its name.

A file is *open* until it has finished. It is taken by one worker at a time, and only when no file of the
same document that was submitted earlier is open: so a document's files are ingested in the order in which
they came, and the last one wins, however many workers there are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import structlog

from services.core.addresses import AddressSetting, StoreAddress
from services.core.backends import Backend
from services.core.context import request_id
from services.core.errors import Conflict, ErrorDetail, RaglineError, ServiceUnavailable
from services.core.wire.dataprep import Job, JobFile, Status
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.settings import SERVICE

PACKAGE = "services.dataprep.backends"
JOBS_URL = AddressSetting(
    "JOBS_URL",
    role="the job store",
    examples="sqlite:, sqlite:///path/to/dir or redis://host:6379/0",
    logins="REDIS_USERNAME and REDIS_PASSWORD",
)

Loss = Literal["cancelled", "taken"]

log = structlog.get_logger(__name__)


class StoreUnavailable(ServiceUnavailable):
    """The job store does not answer; any method may raise it."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """`waiting`: open files that a store takes; `kept` and `kept_seconds`: finished jobs that it keeps."""

    waiting: int
    kept: int
    kept_seconds: float


@dataclass(frozen=True, slots=True)
class IngestOrder:
    """What holds for all files of a job. `patient`: wait for a service that is down, rather than fail;
    `trace`: the request's `traceparent`, which the work joins; `encoding`: that of its text files, if it is
    said; `strict`: a file with warnings fails."""

    collection: str
    chunking: Chunking
    patient: bool = True
    trace: str = ""
    encoding: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class NamesFilter:
    """Lets through collections whose names begin with `prefix` and do not hold `without`; empty: any."""

    prefix: str = ""
    without: str = ""

    def lets(self, name: str) -> bool:
        return name.startswith(self.prefix) and not (self.without and self.without in name)


ALL_NAMES = NamesFilter()


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file to ingest: what the store says of it, and its bytes at `path` until it is submitted."""

    file: JobFile
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """A file that a worker has taken. `cancelled`: clear up after an earlier attempt, then finish it so."""

    job: str
    index: int
    order: IngestOrder
    file: JobFile
    sha256: str
    cancelled: bool = False
    token: str = ""


class JobIntake(Protocol):
    @property
    def files(self) -> Path:
        """The folder below which files are while they are received, unpacked and parsed."""

    def incoming(self) -> AbstractAsyncContextManager[Path]:
        """A folder to receive an upload into; what is still there at the end is removed.

        Raises `RateLimited` where no file would be taken now.
        """

    async def submit(self, order: IngestOrder, files: Sequence[UploadedFile]) -> Job:
        """Take these files; when it returns they outlive this process and the store's.

        A file whose `status` is already failed is only recorded. Raises `RateLimited` with `retry_after`
        where more files would be open than the store's limit.
        """

    async def cancel(self, job: str) -> Job:
        """Cancel what has not finished. Files that a worker has are cancelled by it, in a moment.

        Raises `NotFound`.
        """

    async def cancel_documents(self, collection: str, document_id: str | None, why: str) -> int:
        """Cancel the open files of a document, or of all, and return when none is open: how many."""


class JobReader(Protocol):
    async def get(self, job: str) -> Job:
        """Raises `NotFound`."""

    async def jobs(self, status: Status | None, limit: int, names: NamesFilter = ALL_NAMES) -> list[Job]:
        """The newest first, of the collections that `names` lets through."""

    def changes(self, job: str) -> AsyncIterator[Job]:
        """The job as it is, then at each change, at last finished; changes in quick succession are one.

        It also yields the same job again every few seconds where nothing changes. Raises `NotFound`.
        """

    async def waiting(self) -> int:
        """Open files that no worker has."""


class JobQueue(Protocol):
    """The worker's side.

    A claimed file is lost where it was cancelled, or where another worker has it since this one was not heard
    of for too long. What is said of a lost one is ignored.
    """

    async def take(self) -> ClaimedFile:
        """Wait for the next file."""

    def bytes_of(self, claimed: ClaimedFile) -> AbstractAsyncContextManager[Path]:
        """The file's bytes, at a path of this machine."""

    async def report(self, claimed: ClaimedFile, file: JobFile) -> None:
        """How far it is; need not be durable."""

    async def hold(self, claimed: ClaimedFile) -> Loss:
        """Keep the claim; returns when it is lost, and how."""

    async def finish(self, claimed: ClaimedFile, file: JobFile) -> Job | None:
        """Record the end, durably, and drop the file's bytes: the job as it is now; None where it is lost."""

    async def release(self, claimed: ClaimedFile) -> None:
        """Give it back for another attempt."""


class JobStore(JobIntake, JobReader, JobQueue, Backend, Protocol):
    """Safe to call concurrently."""


class CreateJobStore(Protocol):
    """What a backend file exports as `create`."""

    async def __call__(self, url: StoreAddress, limits: JobLimits) -> JobStore: ...


def cancellation_error(why: str) -> ErrorDetail:
    """Say why a file was cancelled, as the error that its result has."""
    return Conflict(f"cancelled: {why}").body(service=SERVICE, request_id=request_id.get()).error


def fail_file(file: JobFile, error: RaglineError) -> JobFile:
    """Return the file with this error as its end."""
    detail = error.body(service=SERVICE, request_id=request_id.get()).error
    return file.model_copy(update={"status": "failed", "error": detail, "finished_at": datetime.now(UTC)})


class Progress:
    """Reports to the job store how far a file is.

    `file` is its present state. `wrote`: hidden passages of it may be stored. `publishing`: they may be
    visible, so it is too late to cancel.
    """

    def __init__(self, store: JobQueue, claimed: ClaimedFile) -> None:
        self._store = store
        self._ticket = claimed
        self.file = claimed.file
        self.wrote = claimed.file.attempts > 1
        self.publishing = False

    async def report(self, **changed: object) -> None:
        """Report new values of `JobFile` fields. A store that does not answer misses them, no more."""
        self.file = self.file.model_copy(update=changed)
        try:
            await self._store.report(self._ticket, self.file)
        except RaglineError as error:
            log.warning("progress was not recorded", reason=error.message)

    async def report_waiting(self, error: Exception | None) -> None:
        """Report what a call waits for; None when it waits no more. Several calls may wait at a time."""
        if isinstance(error, RaglineError):
            named = error.service in error.message
            reason = error.message if named else f"{error.service}: {error.message}"
            await self.report(status="waiting", reason=reason)
        else:
            await self.report(status="running", reason="")
