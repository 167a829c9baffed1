"""Bodies on the wire: JSON, and MessagePack between our own services.

Token vectors are bytes, which JSON has as text only. A client that sends MessagePack says so in
`content-type`, one that reads it in `accept`; every such route takes and gives JSON too.
"""

from __future__ import annotations

from typing import TypeVar

import ormsgpack
from pydantic import TypeAdapter, ValidationError

from services.core.errors import MalformedRequest, ServiceError
from services.core.peer_errors import readable_message

T = TypeVar("T")

MEDIA_TYPE = "application/msgpack"
SEND_PACKED = {"content-type": MEDIA_TYPE}
ACCEPT_PACKED = {"accept": f"{MEDIA_TYPE}, application/json;q=0.5"}

Unreadable = ormsgpack.MsgpackDecodeError
"""What `unpack` raises."""


def pack(content: object) -> bytes:
    """Write MessagePack from what JSON can say, from `bytes`, and from arrays of numpy."""
    return ormsgpack.packb(content, option=ormsgpack.OPT_SERIALIZE_NUMPY)


def unpack(body: bytes) -> object:
    """Read MessagePack. Raises `Unreadable`."""
    content: object = ormsgpack.unpackb(body)
    return content


def is_packed(body: bytes) -> bool:
    """Whether a body that is an object or a list is MessagePack: JSON begins with ASCII, these never do."""
    return body[:1] >= b"\x80"


def unpack_request(body: object) -> object:
    """Read a request that came as bytes, before it is validated; one that did not is returned as it is.

    Raises:
        MalformedRequest: The bytes are not MessagePack.
    """
    if not isinstance(body, bytes):
        return body
    try:
        return unpack(body)
    except Unreadable as error:
        raise MalformedRequest(f"the body is not valid MessagePack: {error}") from None


def decode(adapter: TypeAdapter[T], body: bytes, service: str) -> T:
    """Read a peer's reply, in JSON or MessagePack, as its type.

    Args:
        adapter: Of the type.
        body: The reply's body.
        service: The peer's name, for the error.

    Returns:
        The reply.

    Raises:
        ServiceError: The body is not of that type, which is the peer's failure; it names what does not fit.
    """
    try:
        if is_packed(body):
            return adapter.validate_python(unpack(body))
        return adapter.validate_json(body)
    except Unreadable as error:
        message = f"{service} sent a reply that is not MessagePack: {error}"
        raise ServiceError(message, service=service) from error
    except ValidationError as error:
        issue = error.errors()[0]
        where = ".".join(str(part) for part in issue["loc"]) or "the body"
        message = f"{service} sent a reply that does not fit: {where}: {issue['msg']}"
        if issue["type"] == "json_invalid":
            message += f" in {readable_message(body)!r}"
        raise ServiceError(message, service=service) from error
