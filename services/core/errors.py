"""The exceptions of Ragline, the status each one travels with, and the one error body.

    RaglineError                 500  internal_error
      NotSupported               501  not_supported          the backend behind the service cannot do this
      InvalidRequest             422  invalid_request        the caller must change the request
        MalformedRequest         400  malformed_request      not even parseable (invalid JSON)
        ContextLengthExceeded    400  context_length_exceeded
        Unauthorized             401  unauthorized
        Forbidden                403  forbidden              the caller is known, and may not do this
        Blocked                  422  blocked                the guard forbids it
        NotFound                 404  not_found              an entry, document or collection
        MethodNotAllowed         405  method_not_allowed
        RequestTimeout           408  request_timeout        the request came too slowly
        Conflict                 409  conflict
        PayloadTooLarge          413  payload_too_large
        UnsupportedMedia         415  unsupported_media
        WrongHost                421  wrong_host             the service is not called so
        HeadersTooLarge          431  headers_too_large
        RateLimited              429  rate_limited           may carry `retry_after` seconds
      ServiceError               502  bad_gateway            a service or engine answered wrongly
        ServiceUnavailable       503  service_unavailable    down, or not ready yet
          Busy                   503  busy                   alive, and too busy just now: try again
          DiskFull               507  disk_full              reads go on, writes wait for space
        DeadlineExceeded         504  deadline_exceeded

A handler raises; `services.core.app` renders. A client turns a reply's body back into the same
exception, so an error keeps its name and the service it came from across every hop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class ErrorDetail(BaseModel):
    """What every error body says: OpenAI's fields plus where it happened."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    code: str
    message: str
    service: str = ""
    request_id: str = ""


class ErrorBody(BaseModel):
    """The only error body on any hop: ``{"error": {...}}``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    error: ErrorDetail


class RaglineError(Exception):
    """Base of the tree; `message` tells the reader what to change or what is down."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        service: str = "",
        retry_after: float | None = None,
        upstream_status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make the error.

        Args:
            message: What failed, and what the reader can do about it.
            service: Where it failed; empty for the service at hand.
            retry_after: Seconds after which the same request may succeed, where that is known.
            upstream_status: The HTTP status that a peer answered with, where one did.
            headers: What the reply says besides, as `WWW-Authenticate`; names in lower case.
        """
        super().__init__(message)
        self.message = message
        self.service = service
        self.retry_after = retry_after
        self.upstream_status = upstream_status
        self.headers = dict(headers or {})

    def body(self, *, service: str, request_id: str) -> ErrorBody:
        """The wire form; `service` is used where the exception does not name another."""
        return ErrorBody(
            error=ErrorDetail(
                type=self.type,
                code=self.code,
                message=self.message,
                service=self.service or service,
                request_id=request_id,
            )
        )


class NotSupported(RaglineError):
    status, code = 501, "not_supported"


class InvalidRequest(RaglineError):
    """The caller must change the request."""

    status, code, type = 422, "invalid_request", "invalid_request_error"


class MalformedRequest(InvalidRequest):
    status, code = 400, "malformed_request"


class ContextLengthExceeded(InvalidRequest):
    status, code = 400, "context_length_exceeded"


class Unauthorized(InvalidRequest):
    status, code = 401, "unauthorized"


class Forbidden(InvalidRequest):
    """The caller is known, and may not do this."""

    status, code = 403, "forbidden"


class Blocked(InvalidRequest):
    """The guard forbids it."""

    status, code = 422, "blocked"


class NotFound(InvalidRequest):
    """There is no such entry, document or collection."""

    status, code = 404, "not_found"


class MethodNotAllowed(InvalidRequest):
    status, code = 405, "method_not_allowed"


class RequestTimeout(InvalidRequest):
    """The request did not come in time: its head, or more of its body."""

    status, code = 408, "request_timeout"


class Conflict(InvalidRequest):
    status, code = 409, "conflict"


class PayloadTooLarge(InvalidRequest):
    status, code = 413, "payload_too_large"


class UnsupportedMedia(InvalidRequest):
    status, code = 415, "unsupported_media"


class WrongHost(InvalidRequest):
    """The request came by a name that is not the service's."""

    status, code = 421, "wrong_host"


class HeadersTooLarge(InvalidRequest):
    status, code = 431, "headers_too_large"


class RateLimited(InvalidRequest):
    """There are too many requests; `retry_after` says when the same one may succeed, where that is known."""

    status, code, type = 429, "rate_limited", "rate_limit_error"


class ServiceError(RaglineError):
    """A service or an engine answered wrongly."""

    status, code = 502, "bad_gateway"


class ServiceUnavailable(ServiceError):
    """A service is down, or not ready yet."""

    status, code = 503, "service_unavailable"


class Busy(ServiceUnavailable):
    """Somebody listens, and cannot take this now: nothing is said of whether the peer works."""

    status, code = 503, "busy"


class DiskFull(ServiceUnavailable):
    """There is no space for what was to be written; what is stored can be read."""

    status, code = 507, "disk_full"


class DeadlineExceeded(ServiceError):
    """A service did not finish in time."""

    status, code = 504, "deadline_exceeded"


def _tree(root: type[RaglineError]) -> list[type[RaglineError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


_BY_CODE = {error.code: error for error in _tree(RaglineError)}
# a 403 without a Ragline body is an engine that refuses us: nothing that our own caller may or may not do
_BY_STATUS = {error.status: error for error in reversed(_tree(RaglineError)) if error is not Forbidden}


def from_detail(
    detail: ErrorDetail, *, service: str, retry_after: float | None = None, upstream_status: int | None = None
) -> RaglineError:
    """Make the exception that a peer's error body stands for.

    Args:
        detail: What the body says.
        service: The peer's name, for a body that names no service.
        retry_after: What the reply's `Retry-After` says.
        upstream_status: The reply's status, where there is one.

    Returns:
        The exception that was raised at the peer, or `ServiceError` where its code is not known here.
    """
    return _BY_CODE.get(detail.code, ServiceError)(
        detail.message,
        service=detail.service or service,
        retry_after=retry_after,
        upstream_status=upstream_status,
    )


def from_status(status: int, message: str, *, service: str, retry_after: float | None = None) -> RaglineError:
    """Make the exception for a reply that carries no Ragline body (TEI, vLLM, a proxy's HTML).

    400 is the peer refusing what we sent: the caller's fault as far as anyone can tell. Any other status
    without a name of its own is a `ServiceError`, never hidden.

    Args:
        status: The reply's status; the exception keeps it as `upstream_status`.
        message: What the reply says.
        service: The peer's name.
        retry_after: What the reply's `Retry-After` says.

    Returns:
        The exception.
    """
    kind = MalformedRequest if status == 400 else _BY_STATUS.get(status, ServiceError)
    return kind(message, service=service, retry_after=retry_after, upstream_status=status)
