"""JSON replies by orjson, for bodies that are built rather than declared."""

from __future__ import annotations

import orjson
from starlette.responses import Response


class JsonReply(Response):
    """`application/json` from anything that orjson serialises."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)
