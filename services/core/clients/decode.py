"""Reading a peer's reply: what does not fit its type is the peer's failure, not ours."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from services.core.errors import ServiceError
from services.core.wire import msgpack

T = TypeVar("T")


def decode(adapter: TypeAdapter[T], body: bytes, service: str) -> T:
    """The reply as its type, from JSON or MessagePack.

    Raises `ServiceError` that names the service and what does not fit.
    """
    try:
        if msgpack.is_packed(body):
            return adapter.validate_python(msgpack.unpack(body))
        return adapter.validate_json(body)
    except msgpack.Unreadable as error:
        message = f"{service} sent a reply that is not MessagePack: {error}"
        raise ServiceError(message, service=service) from error
    except ValidationError as error:
        issue = error.errors()[0]
        where = ".".join(str(part) for part in issue["loc"]) or "the body"
        message = f"{service} sent a reply that does not fit: {where}: {issue['msg']}"
        raise ServiceError(message, service=service) from error
