"""A batch: the files of one upload, one after another, each failing for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from services.core.app import explain
from services.core.context import request_id
from services.core.errors import InvalidRequest, RaglineError
from services.core.wire.base import StrictWire
from services.core.wire.dataprep import IngestedFile, IngestProgress, IngestReply
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.dataprep.chunking import Chunking
from services.dataprep.ingest import Ingestor
from services.dataprep.settings import MAX_CHUNK_SIZE, MIN_CHUNK_SIZE, SERVICE, Settings
from services.dataprep.uploads import FILES_FIELD, Form, Upload

SUCCEEDED = "Data preparation succeeded"

log = structlog.get_logger(__name__)


class _Fields(StrictWire):
    """The form's fields besides files and names; one that is left empty counts as left out."""

    collection: CollectionName = DEFAULT_COLLECTION
    chunk_size: int | None = Field(None, ge=MIN_CHUNK_SIZE, le=MAX_CHUNK_SIZE)
    chunk_overlap: int | None = Field(None, ge=0)


@dataclass(frozen=True, slots=True)
class Batch:
    uploads: Sequence[Upload]
    collection: str
    chunking: Chunking

    @classmethod
    def of(cls, form: Form, settings: Settings) -> Batch:
        """What the form asks for. Raises `InvalidRequest` that names the field at fault."""
        given = {name: values for name, values in form.fields.items() if any(values)}
        if "link_list" in given:
            raise InvalidRequest(
                f"link_list is not accepted: this service fetches no URLs; send the pages in `{FILES_FIELD}`"
            )
        names = given.pop("names", [])
        if not form.files:
            raise InvalidRequest(f"no file to ingest: send at least one in the field `{FILES_FIELD}`")
        if names and len(names) != len(form.files):
            raise InvalidRequest(
                f"names: {len(names)} for {len(form.files)} files; send one for each, in order"
            )
        try:
            fields = _Fields.model_validate({name: values[-1] for name, values in given.items()})
        except ValidationError as error:
            issues = [{**issue, "loc": ("body", *issue["loc"])} for issue in error.errors()]
            raise explain(RequestValidationError(issues)) from None
        uploads = [replace(upload, name=name) for upload, name in zip(form.files, names, strict=False)]
        return cls(uploads or form.files, fields.collection, _chunking(fields, settings))


def _chunking(fields: _Fields, settings: Settings) -> Chunking:
    size = settings.chunk_size if fields.chunk_size is None else fields.chunk_size
    overlap = fields.chunk_overlap
    if overlap is None:  # the default suits the default size; a smaller one bounds it
        return Chunking(size, min(settings.chunk_overlap, size // 2))
    if overlap * 2 > size:
        raise InvalidRequest(f"chunk_overlap: {overlap} is more than half of chunk_size, which is {size}")
    return Chunking(size, overlap)


async def run(batch: Batch, ingestor: Ingestor) -> AsyncGenerator[IngestProgress | IngestReply]:
    """Progress, and at the end the reply. Raises the first file's error where every file failed."""
    results: list[IngestedFile] = []
    errors: list[RaglineError] = []
    taken: set[str] = set()
    for upload in batch.uploads:
        try:
            if upload.name in taken:
                raise InvalidRequest(f"{upload.name} comes twice in this upload: send it once")
            taken.add(upload.name)
            async with aclosing(ingestor.ingest(upload, batch.collection, batch.chunking)) as steps:
                async for step in steps:
                    if isinstance(step, IngestProgress):
                        yield step
                    else:
                        results.append(step)
        except RaglineError as error:
            errors.append(error)
            detail = error.body(service=SERVICE, request_id=request_id.get()).error
            log.info("file failed", code=error.code, status=error.status)
            if len(batch.uploads) > 1:  # alone it is the reply itself
                results.append(IngestedFile(name=upload.name, status="failed", error=detail))
                yield IngestProgress(stage="failed", name=upload.name, error=detail)
    if len(errors) == len(batch.uploads):
        raise errors[0]
    message = SUCCEEDED
    if errors:
        good = len(batch.uploads) - len(errors)
        message += f" for {good} of {len(batch.uploads)} files: see `error` of the others"
    yield IngestReply(message=message, files=results)
