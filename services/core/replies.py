"""Replies by orjson, for bodies that are built rather than declared, and MessagePack for who asks for it."""

from __future__ import annotations

import orjson
from fastapi import Request
from starlette.responses import Response

from services.core.errors import UnsupportedMedia
from services.core.wire.msgpack import MEDIA_TYPE, pack


class JsonReply(Response):
    """`application/json` from anything that orjson serialises."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


class PackedReply(Response):
    """`application/msgpack` from what JSON can say, bytes, and arrays of numpy."""

    media_type = MEDIA_TYPE

    def render(self, content: object) -> bytes:
        return pack(content)


def packed_wanted(request: Request) -> bool:
    """Whether its client reads MessagePack."""
    return MEDIA_TYPE in request.headers.get("accept", "")


async def json_or_packed(request: Request) -> None:
    """A dependency of a route whose type reads MessagePack too, which FastAPI hands on as bytes.

    Raises `UnsupportedMedia` for any other type than the two: what a page elsewhere can make a browser send
    without asking must not be taken for either.
    """
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given not in {MEDIA_TYPE, "application/json"}:
        raise UnsupportedMedia(
            f"send application/json or {MEDIA_TYPE}, not {given or 'a body without a type'}"
        )


def packed_body(schema: str) -> dict[str, object]:
    """For a route's `openapi_extra`: that it takes this schema as MessagePack too."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"content": content}}
