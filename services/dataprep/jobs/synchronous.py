"""A job as the synchronous routes tell it: OPEA's reply at its end, progress by stage before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from services.core.context import request_id
from services.core.errors import ErrorDetail, from_detail
from services.core.wire.dataprep import IngestedFile, IngestProgress, IngestReply, Job, JobFile, Stage
from services.dataprep.settings import SERVICE

SUCCEEDED = "Data preparation succeeded"


async def progress_events(changes: AsyncIterator[Job]) -> AsyncGenerator[IngestProgress | IngestReply]:
    """Yield the progress, and at the end the reply. Raises the first file's error where every file failed."""
    before: list[JobFile] | None = None
    async for job in changes:
        earlier = before or [JobFile(name=file.name) for file in job.files]
        for was, now in zip(earlier, job.files, strict=True):
            for event in _between(was, now, alone=len(job.files) == 1):
                yield event
        before = job.files
        if job.finished:
            yield reply(job)


def _between(was: JobFile, now: JobFile, *, alone: bool) -> Iterator[IngestProgress]:
    """The stages that a file has passed."""

    def step(stage: Stage, done: int) -> IngestProgress:
        return IngestProgress(
            stage=stage, name=now.name, document_id=now.document_id, done=done, total=now.passages
        )

    if now.passages and not was.passages:
        yield step("parsed", now.passages)
    if now.embedded > was.embedded and now.outcome != "unchanged":
        yield step("embedded", now.embedded)
    if now.finished and not was.finished:
        if now.status == "done":
            yield step("stored", now.passages)
        elif not alone:  # alone it is the reply itself
            yield IngestProgress(stage="failed", name=now.name, error=_of_this_request(now.error))


def reply(job: Job) -> IngestReply:
    """Raises the first file's error where every file failed."""
    files = [_ingested_file(file) for file in job.files]
    failures = [file.error for file in files if file.error is not None]
    if len(failures) == len(files):
        raise from_detail(failures[0], service=SERVICE)
    message = SUCCEEDED
    if failures:
        good = len(files) - len(failures)
        message += f" for {good} of {len(files)} files: see `error` of the others"
    return IngestReply(message=message, files=files)


def _ingested_file(file: JobFile) -> IngestedFile:
    if file.outcome is None:
        return IngestedFile(
            name=file.name, status="failed", error=_of_this_request(file.error), warnings=file.warnings
        )
    return IngestedFile(
        name=file.name,
        document_id=file.document_id,
        revision=file.revision,
        passages=file.passages,
        status=file.outcome,
        replaced=file.replaced,
        warnings=file.warnings,
    )


def _of_this_request(detail: ErrorDetail | None) -> ErrorDetail | None:
    return detail and detail.model_copy(update={"request_id": request_id.get()})
