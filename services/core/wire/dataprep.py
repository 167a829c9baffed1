"""Ingestion: jobs at `/v1/jobs`, OPEA's `/v1/dataprep/*` shapes, extended, and the progress of an upload."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from services.core.errors import ErrorDetail, NotFound
from services.core.wire.base import Metadata, Wire
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName

Status = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
Outcome = Literal["ingested", "unchanged"]

WarningKind = Literal[
    "pages_without_text",
    "encoding_guessed",
    "formulas_without_values",
    "hidden_content",
    "left_out",
    "text_recognised",
    "not_checked",
]

SIDECAR = ".meta.json"
"""`report.pdf.meta.json` in an upload or an archive holds what is known of the `report.pdf` beside it."""

FINISHED: frozenset[Status] = frozenset({"done", "failed", "cancelled"})


class FileWarning(Wire):
    """What of a file did not become text, or may be wrong; `message` speaks of the file."""

    kind: WarningKind
    message: str


class JobFile(Wire):
    """One file of a job: how far it is, and at the end what became of it.

    `passages` is known once it is parsed; `embedded` and `stored` count up to it. `reason` says what a file
    that is `waiting` waits for, by the name of the service; `error` why it `failed` or was `cancelled`.
    `warnings` are known once it is parsed. `metadata` is what came with it,
    `replaced` how many passages of an earlier version it took the place of.
    """

    name: str
    document_id: str = ""
    size: int = 0
    status: Status = "queued"
    outcome: Outcome | None = None
    revision: str = ""
    passages: int = 0
    embedded: int = 0
    stored: int = 0
    attempts: int = 0
    reason: str = ""
    error: ErrorDetail | None = None
    warnings: list[FileWarning] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    replaced: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


class Job(Wire):
    """The files of one upload, in their order. `reason` is that of the first file which has one."""

    id: str
    status: Status
    collection: str
    files: list[JobFile]
    reason: str = ""
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


def unknown_job(job: str) -> NotFound:
    """Make the error for a job that is not there, or not the caller's."""
    return NotFound(f"no job {job!r}: it never was, or it finished long ago", service="dataprep")


class JobsReply(Wire):
    """`GET /v1/jobs`: the newest first."""

    jobs: list[Job]


class FileChange(Wire):
    """A `file` event of `GET /v1/jobs/{id}/events`: `file` is what number `index` now is."""

    index: int
    file: JobFile


def status_of(files: Sequence[JobFile]) -> Status:
    """A job's status by its files'.

    Unfinished: running where a file is; else waiting where one is; else queued, or running where some have
    finished. Finished: cancelled where a file was, failed where all did, done otherwise.
    """
    found = {file.status for file in files}
    if found <= FINISHED:
        ends: tuple[Status, ...] = ("cancelled", "done")
        return next((end for end in ends if end in found), "failed")
    if "running" in found:
        return "running"
    if "waiting" in found:
        return "waiting"
    return "running" if found & FINISHED else "queued"


FileStatus = Literal["ingested", "unchanged", "failed"]
Stage = Literal["parsed", "embedded", "stored", "failed"]


class IngestedFile(Wire):
    """What became of one file. `passages` are those in the store; `error` where `status` is failed.

    `replaced` counts the passages of an earlier version under the same name, which it took the place of.
    """

    name: str
    document_id: str = ""
    revision: str = ""
    passages: int = 0
    status: FileStatus
    error: ErrorDetail | None = None
    warnings: list[FileWarning] = Field(default_factory=list)
    replaced: int = 0


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


ALL = "all"
"""OPEA's word for every document of a collection, and for every collection."""


COLLECTION_FIELDS = frozenset({"collection", "index_name"})
"""The fields of a form that name its collection."""


class OpeaSelection(Wire):
    """What OPEA's requests select documents by: `index_name` is another word for `collection`."""

    collection: CollectionName = DEFAULT_COLLECTION
    index_name: CollectionName | None = None

    @model_validator(mode="after")
    def _names_one_collection(self) -> Self:
        if self.index_name and "collection" in self.model_fields_set and self.index_name != self.collection:
            raise ValueError("index_name and collection name two collections: send one of them")
        return self

    @property
    def wanted(self) -> str:
        """The collection, whichever field named it."""
        return self.index_name or self.collection


class ListRequest(OpeaSelection):
    """`POST /v1/dataprep/get`; the body may be left out. `index_name` may be `all`: every collection's."""


class ListedFile(Wire):
    """OPEA's reply to `/v1/dataprep/get` is a list of these; `index_name` where the request has it."""

    name: str
    id: str
    type: Literal["File"] = "File"
    parent: str = ""
    index_name: str | None = None


class DeleteFileRequest(OpeaSelection):
    """`POST /v1/dataprep/delete`: `file_path` is a document's id or name, a folder of names, or `all`.

    A link's document is also known by the link itself, with or without OPEA's `.txt` after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    file_path: str = Field(min_length=1)


class DeleteFileReply(Wire):
    """`status` is OPEA's; `documents` and `passages` count what was deleted."""

    status: Literal[True] = True
    documents: int
    passages: int


class DeletedDocument(Wire):
    """`DELETE /v1/documents/{id}`."""

    id: str
    passages: int
