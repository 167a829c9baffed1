"""Uploads: which files there are and under which names, and the gateway's jobs that ingest them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson
from pydantic import TypeAdapter

from services.cli.errors import UsageError
from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import RaglineError, RateLimited, ServiceError
from services.core.forms import write_form
from services.core.retry import RetryPolicy
from services.core.sse import Event
from services.core.wire.dataprep import SIDECAR, FileChange, Job, JobsReply, Status
from services.core.wire.encoding import decode
from services.dataprep.parsing.registry import supported_suffixes

SUBMIT_SECONDS = 600.0
FOLLOW_SECONDS = 24 * 3600.0
FILES_PER_JOB = 20
BYTES_PER_JOB = 32 * 1024 * 1024

NO_FIELDS: Mapping[str, str] = {}

_JOB = TypeAdapter(Job)
_JOBS = TypeAdapter(JobsReply)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the name it is stored under."""

    path: Path
    name: str


def collect_uploads(paths: Sequence[Path]) -> list[Upload]:
    """The files to upload, sorted by name.

    A folder gives every supported file below it, hidden ones and links left out, named from the folder's own
    name on (`docs/guide/setup.md`), whatever the working directory; a file given by itself keeps its file
    name.
    Raises `UsageError` where a path does not exist, nothing is left, or two files would share a name.
    """
    uploads: list[Upload] = []
    for path_given in paths:
        path = path_given.resolve()
        if path.is_dir():
            uploads += uploads_below(path)
        elif path.is_file():
            uploads.append(Upload(path, path.name))
        else:
            raise UsageError(f"{path_given} does not exist: name files or folders")
    unique = {upload.path: upload for upload in sorted(uploads, key=lambda upload: len(upload.name))}
    names: dict[str, Path] = {}
    for upload in unique.values():
        if upload.name in names:
            raise UsageError(
                f"{names[upload.name]} and {upload.path} would both be stored as {upload.name!r}: "
                "ingest their common folder instead, or rename one"
            )
        names[upload.name] = upload.path
    if not names:
        raise UsageError(f"nothing to ingest: no file ends in {', '.join(sorted(supported_suffixes()))}")
    return sorted(unique.values(), key=lambda upload: upload.name)


def uploads_below(folder: Path) -> list[Upload]:
    """The supported files below a folder; hidden ones, those in hidden folders, and links are left out."""
    root = folder.resolve()
    return [Upload(path, path.relative_to(root.parent).as_posix()) for path in _supported_files(root)]


def _supported_files(folder: Path) -> Iterator[Path]:
    suffixes = frozenset(supported_suffixes())
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") for part in inside) or path.suffix.lower() not in suffixes:
            continue
        if path.is_file() and path.resolve() == path:
            yield path


def skipped_suffixes(paths: Sequence[Path]) -> dict[str, int]:
    """Count the files of folders that are left out because of their suffix, by suffix; hidden ones aside."""
    known = frozenset(supported_suffixes())
    suffixes = Counter(
        path.suffix.lower() or "no suffix"
        for folder in paths
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix.lower() not in known
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return dict(suffixes.most_common())


def split_into_jobs(uploads: Sequence[Upload]) -> Iterator[list[Upload]]:
    """Yield the uploads of one job after the other: several small files, or a large one by itself."""
    batch: list[Upload] = []
    size = 0
    for upload in uploads:
        length = upload.path.stat().st_size if upload.path.is_file() else 0
        is_full = len(batch) >= FILES_PER_JOB or size + length > BYTES_PER_JOB
        if batch and is_full and not upload.name.endswith(SIDECAR):  # which goes with the file before it
            yield batch
            batch, size = [], 0
        batch.append(upload)
        size += length
    if batch:
        yield batch


def _is_gone(error: Exception) -> bool:
    """Whether a gateway that was there is away, or has too much to do."""
    return isinstance(error, ServiceError | RateLimited)


QUEUE_FULL = RetryPolicy(
    first=1.0, longest=2.0, jitter=0.5, spread=1.0, retries=lambda error: isinstance(error, RateLimited)
)
GATEWAY_GONE = RetryPolicy(deadline=600.0, longest=5.0, retries=_is_gone)
"""How a gateway that was there is waited for."""


class Jobs:
    """The ingestion jobs of a gateway.

    `seconds` is the longest that sending a job's files may take; `gone` is how long a gateway that ends
    the connection is asked again; `fields` are further fields of the form, by name.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        seconds: float = SUBMIT_SECONDS,
        gone: RetryPolicy = GATEWAY_GONE,
        fields: Mapping[str, str] = NO_FIELDS,
    ) -> None:
        self._fields = fields
        self._client = client
        self._seconds = seconds
        self._gone = gone

    async def submit(self, uploads: Sequence[Upload], collection: str) -> Job:
        """Send these; waits where the queue is full. Raises `OSError` where a file cannot be read."""
        return await QUEUE_FULL.call(lambda: self._submit(uploads, collection))

    async def _submit(self, uploads: Sequence[Upload], collection: str) -> Job:
        start_request(uuid.uuid4().hex, self._seconds)
        headers, form = write_form(
            {"collection": collection, **self._fields}, [(upload.name, upload.path) for upload in uploads]
        )
        body = await self._client.post("/v1/jobs", form, headers=headers)
        return decode(_JOB, body, self._client.service)

    async def follow(self, job: Job) -> AsyncGenerator[Job]:
        """Yield the job at each change until it has finished; connections that end are made again."""
        changes = _JobChanges(self._client, job)
        try:
            while not changes.job.finished:
                yield await self._gone.call(changes.next)
        finally:
            await changes.close()

    async def get(self, id_: str) -> Job:
        return decode(_JOB, await self._client.get(f"/v1/jobs/{quote(id_)}"), self._client.service)

    async def cancel(self, id_: str) -> Job:
        return decode(_JOB, await self._client.delete(f"/v1/jobs/{quote(id_)}"), self._client.service)

    async def list(self, status: Status | None, limit: int) -> list[Job]:
        query = f"limit={limit}" + (f"&status={status}" if status else "")
        return decode(_JOBS, await self._client.get(f"/v1/jobs?{query}"), self._client.service).jobs

    async def delete_document(self, document_id: str, revision: str, collection: str) -> bool:
        """Delete a document that still is of this revision; whether it was."""
        body = await self._client.get(f"/v1/documents?collection={quote(collection)}")
        stored = {document["id"]: document["revision"] for document in orjson.loads(body)["documents"]}
        if stored.get(document_id) != revision:
            return False
        with suppress(RaglineError):  # gone meanwhile is gone too
            await self._client.delete(f"/v1/documents/{quote(document_id)}?collection={quote(collection)}")
        return True


class _JobChanges:
    """The changes of a job, by a connection that is made anew where it has ended."""

    def __init__(self, client: HttpClient, job: Job) -> None:
        self.job = job
        self._client = client
        self._events: AsyncGenerator[Event] | None = None

    async def next(self) -> Job:
        """Return the job after its next change. Raises `ServiceError` where the connection has ended."""
        if self._events is None:
            start_request(uuid.uuid4().hex, FOLLOW_SECONDS)
            self._events = self._client.stream(f"/v1/jobs/{quote(self.job.id)}/events", None)
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            await self.close()
            raise ServiceError(
                "the job's events ended before the job", service=self._client.service
            ) from None
        except BaseException:
            await self.close()
            raise
        if event.event == "file":
            change = FileChange.model_validate_json(event.data)
            files = [*self.job.files[: change.index], change.file, *self.job.files[change.index + 1 :]]
            self.job = self.job.model_copy(update={"files": files, "status": "running"})
        else:
            self.job = Job.model_validate_json(event.data)
        return self.job

    async def close(self) -> None:
        if self._events is not None:
            await self._events.aclose()
            self._events = None
