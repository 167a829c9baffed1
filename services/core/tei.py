"""text-embeddings-inference's error body, which the routes that are TEI's answer with.

`{"error": message, "error_type": ...}` with TEI's statuses; `code`, `service` and `request_id` of ours are
beside it, so that an error keeps its name across hops here too.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from services.core.errors import (
    ErrorDetail,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)

INFERENCE_FAILED = 424


class TeiError(BaseModel):
    """TEI's `ErrorResponse`; `error_type` is Validation, Overloaded, Backend or Unhealthy."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    error: str
    error_type: str
    code: str = ""
    service: str = ""
    request_id: str = ""

    @property
    def detail(self) -> ErrorDetail | None:
        """As our own body would say it; None for a server's that is not ours."""
        if not self.code:
            return None
        return ErrorDetail(type=self.error_type, code=self.code, message=self.error, service=self.service)


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": TeiError, "description": text}
    for status, text in {
        413: "More texts or longer ones than are taken",
        422: "The request is not valid",
        424: "The model failed",
        429: "Too much waits: try again after `Retry-After` seconds",
    }.items()
}
"""For the documentation of a TEI route, as FastAPI takes it."""


def render_error(error: RaglineError, *, service: str, request_id: str) -> tuple[int, TeiError]:
    """Write an error as TEI does.

    Returns:
        The status and the body. What the model behind the service did wrong is a 424, not a 502 or 500.
    """
    kind, status = "Backend", error.status
    if isinstance(error, RateLimited):
        kind = "Overloaded"
    elif isinstance(error, InvalidRequest):
        kind = "Validation"
    elif isinstance(error, ServiceUnavailable):
        kind = "Unhealthy"
    elif status in {RaglineError.status, ServiceError.status}:
        status = INFERENCE_FAILED
    return status, TeiError(
        error=error.message,
        error_type=kind,
        code=error.code,
        service=error.service or service,
        request_id=request_id,
    )
