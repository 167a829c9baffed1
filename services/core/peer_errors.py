"""What a peer's refusal says: its error body or page as an exception of ours, and when to come again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson
from pydantic import ValidationError

from services.core.errors import (
    ErrorBody,
    ErrorDetail,
    RaglineError,
    ServiceError,
    from_detail,
    from_status,
)
from services.core.tei import TeiError
from services.core.wire.base import Readiness

MESSAGE_LENGTH = 500
UNKNOWN_CALLER = "unknown_caller"
"""The code of a refusal because of `SERVICE_TOKEN`."""


def error_from_body(
    service: str, status: int, body: bytes, *, retry_after: float | None = None
) -> RaglineError:
    """Make the exception that a refusal stands for.

    Args:
        service: The peer's name.
        status: The reply's status.
        body: Its body: ours, TEI's, OpenAI's, a page, anything.
        retry_after: What its headers say of coming again.

    Returns:
        The exception that was raised at the peer where it is a service of ours, else the status's.
    """
    detail = _error_detail(body)
    if detail is None:
        message = f"{service} answered {status}: {readable_message(body)}"
        return from_status(status, message, service=service, retry_after=retry_after)
    if (
        detail.code == UNKNOWN_CALLER
    ):  # two of our services that were set up differently: not our caller's fault
        return ServiceError(detail.message, service=detail.service or service, upstream_status=status)
    error = from_detail(detail, service=service, retry_after=retry_after, upstream_status=status)
    if type(error) is ServiceError and status != ServiceError.status:
        return from_status(status, detail.message, service=service, retry_after=retry_after)
    return error


def error_from_wrong_type(service: str, media_type: str, body: bytes) -> RaglineError:
    """Make the exception for a 200 that is no event stream: an error in JSON, a proxy's page, plain words."""
    detail = _error_detail(body)
    error = from_detail(detail, service=service) if detail is not None else None
    if error is not None and type(error) is not ServiceError:
        return error
    return ServiceError(
        f"{service} sent {media_type or 'a reply without a type'} that is no event stream: "
        f"{readable_message(body)}",
        service=service,
        upstream_status=200,
    )


def what_is_missing(body: bytes) -> str:
    """Say what a peer that is not ready waits for, from its `Readiness`."""
    try:
        state = Readiness.model_validate_json(body)
    except ValidationError:
        return readable_message(body)
    missing = (health.detail or name for name, health in state.dependencies.items() if not health.ready)
    return "; ".join(missing) or "something it does not name"


def readable_message(body: bytes) -> str:
    """Find the message in a foreign error body (OpenAI's, TEI's, FastAPI's), a proxy's page as text, or its
    first characters."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        error = parsed.get("error") or parsed.get("message") or parsed.get("detail")
        if isinstance(error, dict):
            error = error.get("message")
        if isinstance(error, str):
            return error[:MESSAGE_LENGTH]
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL).split())
    return text[:MESSAGE_LENGTH] or "an empty body"


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to wait, from a number or a date; None where the headers do not say.

    A date counts from the reply's own `Date`, so that the peer's clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _read_date(text)
        if until is None:
            return None
        now = _read_date(headers.get("date", "")) or datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _read_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _error_detail(body: bytes) -> ErrorDetail | None:
    """Read what one of our services says in its own error body or in TEI's; None where it is neither."""
    try:
        return ErrorBody.model_validate_json(body).error
    except ValidationError:
        try:
            return TeiError.model_validate_json(body).detail
        except ValidationError:
            return None
