"""Dataprep: OPEA's `/v1/dataprep/*` shapes, extended, and the progress of an upload."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.errors import ErrorDetail
from services.core.wire.base import StrictWire, Wire
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName

FileStatus = Literal["ingested", "unchanged", "failed"]
Stage = Literal["parsed", "embedded", "stored", "failed"]


class IngestedFile(Wire):
    """What became of one file. `passages` are those in the store; `error` where `status` is failed."""

    name: str
    document_id: str = ""
    revision: str = ""
    passages: int = 0
    status: FileStatus
    error: ErrorDetail | None = None


class IngestReply(Wire):
    """`POST /v1/dataprep/ingest`: a file in `files` for each one sent, in their order.

    `status` is OPEA's; a reply of which all files failed is the first one's error instead.
    """

    status: Literal[200] = 200
    message: str
    files: list[IngestedFile]


class IngestProgress(Wire):
    """An event of `POST /v1/dataprep/ingest?stream=true`, named by its `stage`.

    `done` of `total` passages have passed the stage. The stream ends with a `done` event that holds the
    `IngestReply`, or with an `error` event.
    """

    stage: Stage
    name: str
    document_id: str = ""
    done: int = 0
    total: int = 0
    error: ErrorDetail | None = None


class ListRequest(Wire):
    """`POST /v1/dataprep/get`; the body may be left out."""

    collection: CollectionName = DEFAULT_COLLECTION


class ListedFile(Wire):
    """OPEA's reply to `/v1/dataprep/get` is a list of these."""

    name: str
    id: str
    type: Literal["File"] = "File"
    parent: str = ""


class DeleteFileRequest(StrictWire):
    """`POST /v1/dataprep/delete`: `file_path` is a document's name, or `all`."""

    file_path: str = Field(min_length=1)
    collection: CollectionName = DEFAULT_COLLECTION


class DeleteFileReply(Wire):
    """`status` is OPEA's; `documents` and `passages` count what was deleted."""

    status: Literal[True] = True
    documents: int
    passages: int


class DeletedDocument(Wire):
    """`DELETE /v1/documents/{id}`."""

    id: str
    passages: int
