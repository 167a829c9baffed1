"""MessagePack beside JSON, between our own services: token vectors are bytes, which JSON has as text only.

A client that sends it says so in `content-type`, one that reads it in `accept`; every such route takes and
gives JSON too.
"""

from __future__ import annotations

import ormsgpack

from services.core.errors import MalformedRequest

MEDIA_TYPE = "application/msgpack"
SENT = {"content-type": MEDIA_TYPE}
WANTED = {"accept": f"{MEDIA_TYPE}, application/json;q=0.5"}

Unreadable = ormsgpack.MsgpackDecodeError
"""What `unpack` raises."""


def pack(content: object) -> bytes:
    """Of what JSON can say, of `bytes`, and of arrays of numpy."""
    return ormsgpack.packb(content, option=ormsgpack.OPT_SERIALIZE_NUMPY)


def unpack(body: bytes) -> object:
    """Raises `Unreadable`."""
    found: object = ormsgpack.unpackb(body)
    return found


def is_packed(body: bytes) -> bool:
    """Whether a body that is an object or a list is MessagePack: JSON begins with ASCII, these never do."""
    return body[:1] >= b"\x80"


def unpacked(given: object) -> object:
    """Before a request is validated: what its bytes say, where it came as bytes.

    Raises `MalformedRequest` where they say nothing.
    """
    if not isinstance(given, bytes):
        return given
    try:
        return unpack(given)
    except Unreadable as error:
        raise MalformedRequest(f"the body is not valid MessagePack: {error}") from None
