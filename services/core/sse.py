"""Server-sent events: an incremental parser and a formatter. Pure; no I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type ("message" unless named) and its data, lines joined by a newline."""

    data: bytes
    event: str = "message"


class SseParser:
    """Feed bytes as they come, get whole events; correct for any split and for CR, LF and CRLF."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> list[Event]:
        buffer = self._buffer + chunk
        if b"\r" in buffer:
            held = b"\r" if buffer.endswith(b"\r") else b""
            body = buffer[: len(buffer) - len(held)]
            buffer = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *blocks, self._buffer = buffer.split(b"\n\n")
        return [event for block in blocks if (event := _parse(block)) is not None]

    @property
    def pending(self) -> bool:
        """Whether an event has begun and not ended: the stream was cut if it stops now."""
        return bool(self._buffer.strip())


def _parse(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(block[6:])
    data: list[bytes] = []
    kind = "message"
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            kind = value.decode("utf-8", "replace")
    return Event(b"\n".join(data), kind) if data else None


def format_event(data: bytes, event: str | None = None) -> bytes:
    """One event on the wire; `data` must hold no newline, as JSON from orjson does not."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data


DONE = b"data: [DONE]\n\n"
