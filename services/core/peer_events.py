"""The events of a reply that should be a stream of them, and what to make of one that is not."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator

import orjson

from services.core.errors import ServiceError
from services.core.peer_errors import error_from_wrong_type
from services.core.sse import Event, EventTooLarge, SseParser, is_keepalive

EVENT_STREAM = "text/event-stream"

_START_BYTES = 8
"""What a stream begins with is seen in so many bytes."""
_FIELD = re.compile(rb"(\xef\xbb\xbf)?(data|event|id|retry)?:")


async def read_events(
    chunks: AsyncIterator[bytes], media_type: str, *, service: str, limit: int
) -> AsyncGenerator[Event]:
    """Yield the events of a reply's body, without those that only keep the connection open.

    A chat completion in one piece of JSON, from a server that does not stream, is one event.

    Args:
        chunks: The body as it comes.
        media_type: What the reply says that it is; a stream by another name is known by its first bytes.
        service: The peer's name, for errors.
        limit: The bytes of the largest event.

    Raises:
        RaglineError: The body is no stream; the message is the server's own.
        ServiceError: An event is too large, or the body ends inside one.
    """
    start = await _read_start(chunks)
    if not _is_stream(start.lstrip(), media_type):
        yield await _read_whole(chunks, start, media_type, service=service, limit=limit)
        return
    parser = SseParser(limit)
    try:
        for event in parser.feed(start):
            if not is_keepalive(event):
                yield event
        async for chunk in chunks:
            for event in parser.feed(chunk):
                if not is_keepalive(event):
                    yield event
    except EventTooLarge:
        raise _too_large(service, limit) from None
    last = parser.close()
    if last is not None:
        yield last
    if parser.pending:
        raise ServiceError(f"{service} closed its stream in the middle of an event", service=service)


async def _read_start(chunks: AsyncIterator[bytes]) -> bytes:
    """Read until it can be told what comes."""
    start = b""
    async for chunk in chunks:
        start += chunk
        text = start.lstrip()
        if len(text) >= _START_BYTES or b"\n" in text:
            break
    return start


def _is_stream(start: bytes, media_type: str) -> bool:
    if media_type == EVENT_STREAM:
        return not start.startswith((b"{", b"[", b"<"))
    return _FIELD.match(start) is not None


async def _read_whole(
    chunks: AsyncIterator[bytes], start: bytes, media_type: str, *, service: str, limit: int
) -> Event:
    """Read a reply that is no stream: a whole completion as its event; anything else raises."""
    body = bytearray(start)
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise _too_large(service, limit)
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and parsed.get("choices"):
        return Event(bytes(body))
    raise error_from_wrong_type(service, media_type, bytes(body))


def _too_large(service: str, limit: int) -> ServiceError:
    return ServiceError(f"{service} sent an event of more than {limit / 1e6:g} MB", service=service)
