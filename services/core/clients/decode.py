"""Reading a peer's reply: what does not fit its type is the peer's failure, not ours."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from services.core.errors import ServiceError

T = TypeVar("T")


def decode(adapter: TypeAdapter[T], body: bytes, service: str) -> T:
    """The reply as its type. Raises `ServiceError` that names the service and what does not fit."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        issue = error.errors()[0]
        where = ".".join(str(part) for part in issue["loc"]) or "the body"
        message = f"{service} sent a reply that does not fit: {where}: {issue['msg']}"
        raise ServiceError(message, service=service) from error
