"""The connection with a Qdrant server: its client, and its failures as our errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpc import StatusCode
from grpc.aio import AioRpcError
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from services.core.context import within_deadline
from services.core.errors import Conflict, RaglineError, ServiceError, ServiceUnavailable
from services.retrieval.collections import unknown_collection

QDRANT_ERRORS = (AioRpcError, ResourceExhaustedResponse, ResponseHandlingException, UnexpectedResponse)

_STATUS = {
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 503,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
}


class Connection:
    """A client of the server; `where` is how errors name it."""

    def __init__(self, client: AsyncQdrantClient, where: str) -> None:
        self.client = client
        self.where = where

    @asynccontextmanager
    async def call(self, what: str, collection: str = "") -> AsyncIterator[None]:
        """Call the server in the body, within the request's deadline, its failures as our errors.

        Args:
            what: What the server is asked to do, as a verb, for messages.
            collection: The collection that it is asked about.

        Raises:
            NotFound: The collection is unknown.
            Conflict: The collection exists already.
            ServiceUnavailable: The server does not answer, or is overloaded.
            ServiceError: It failed otherwise.
            DeadlineExceeded: The request's time is over.
        """
        try:
            async with within_deadline(f"Qdrant's reply ({what})", service="retrieval"):
                yield
        except QDRANT_ERRORS as error:
            raise translate(error, what=what, where=self.where, collection=collection) from error


def translate(error: Exception, *, what: str, where: str, collection: str) -> RaglineError:
    """Translate one of `QDRANT_ERRORS`, which happened while Qdrant should `what`, into our error."""
    if isinstance(error, ResourceExhaustedResponse):
        return ServiceUnavailable(
            f"Qdrant at {where} is overloaded: {error.message}", retry_after=float(error.retry_after_s)
        )
    status, detail = _status_and_detail(error)
    match status:
        case 404:
            return unknown_collection(collection)
        case 409:
            return Conflict(f"collection {collection!r} already exists on {where}")
        case 401 | 403:
            return ServiceError(f"Qdrant at {where} refuses the API key: set QDRANT_API_KEY")
        case 503:
            return ServiceUnavailable(f"Qdrant at {where} does not answer (VECTOR_URL names it): {detail}")
        case _:
            return ServiceError(f"Qdrant at {where} could not {what}: {detail}")


def _status_and_detail(error: Exception) -> tuple[int, str]:
    """Give the HTTP status that the error amounts to, and its text; 503 where there was no reply at all."""
    if isinstance(error, AioRpcError):
        return _STATUS.get(error.code(), 502), error.details() or error.code().name
    if isinstance(error, UnexpectedResponse):
        text = error.content.decode("utf-8", "replace")[:500]
        return error.status_code or 502, text or error.reason_phrase
    source = getattr(error, "source", error)
    return 503, str(source) or type(source).__name__
