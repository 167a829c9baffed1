"""How a file that was not ingested says why."""

from __future__ import annotations

from datetime import UTC, datetime

from services.core.context import request_id
from services.core.errors import Conflict, ErrorDetail, RaglineError
from services.core.wire.dataprep import JobFile

SERVICE = "dataprep"


def cancellation(why: str) -> ErrorDetail:
    return Conflict(f"cancelled: {why}").body(service=SERVICE, request_id=request_id.get()).error


def failed(file: JobFile, error: RaglineError) -> JobFile:
    """The file, failed by this error."""
    detail = error.body(service=SERVICE, request_id=request_id.get()).error
    return file.model_copy(update={"status": "failed", "error": detail, "finished_at": datetime.now(UTC)})
