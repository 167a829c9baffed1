"""What can go wrong with a Qdrant server, as our errors."""

from __future__ import annotations

from grpc import StatusCode
from grpc.aio import AioRpcError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from services.core.errors import Conflict, RaglineError, ServiceError, ServiceUnavailable
from services.retrieval.schema import unknown

QDRANT_ERRORS = (AioRpcError, ResourceExhaustedResponse, ResponseHandlingException, UnexpectedResponse)

_STATUS = {
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 503,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
}


def translate(error: Exception, *, what: str, where: str, collection: str) -> RaglineError:
    """The error of the tree for one of `QDRANT_ERRORS` that happened while Qdrant should `what`."""
    if isinstance(error, ResourceExhaustedResponse):
        return ServiceUnavailable(
            f"Qdrant at {where} is overloaded: {error.message}", retry_after=float(error.retry_after_s)
        )
    status, detail = _status(error)
    match status:
        case 404:
            return unknown(collection)
        case 409:
            return Conflict(f"collection {collection!r} already exists on {where}")
        case 401 | 403:
            return ServiceError(f"Qdrant at {where} refuses the API key: set QDRANT_API_KEY")
        case 503:
            return ServiceUnavailable(f"Qdrant at {where} does not answer (VECTOR_URL names it): {detail}")
        case _:
            return ServiceError(f"Qdrant at {where} could not {what}: {detail}")


def _status(error: Exception) -> tuple[int, str]:
    """The HTTP status that the error amounts to, and its text; 503 where there was no reply at all."""
    if isinstance(error, AioRpcError):
        return _STATUS.get(error.code(), 502), error.details() or error.code().name
    if isinstance(error, UnexpectedResponse):
        text = error.content.decode("utf-8", "replace")[:500]
        return error.status_code or 502, text or error.reason_phrase
    source = getattr(error, "source", error)
    return 503, str(source) or type(source).__name__
