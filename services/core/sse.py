"""Server-sent events: an incremental parser and a formatter. Pure; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type ("message" unless named) and its data, lines joined by a newline."""

    data: bytes
    event: str = "message"


class EventTooLarge(Exception):
    """An event is larger than the parser's limit; the stream cannot be read on."""


MAX_EVENT_BYTES = 16_000_000
"""What the largest event of ours, a comparison of sixteen arms with its passages, is far from."""

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_KEEPALIVE_WORDS = frozenset({"ping", "pong", "keepalive", "heartbeat", "processing"})


class SseParser:
    """Feed bytes as they come, get whole events; correct for any split and for CR, LF and CRLF.

    Its work is linear in the bytes, also where they come one by one. An event without data is none.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._line = bytearray()
        self._data: list[bytes] = []
        self._kind = ""
        self._size = 0
        self._is_after_cr = False
        self._is_first_line = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that end in these bytes.

        Raises:
            EventTooLarge: The event that has begun is larger than the limit.
        """
        if self._is_after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._is_after_cr = False
        if b"\r" in chunk:
            self._is_after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._line:
                line = bytes(self._line) + line  # noqa: PLW2901 - the same line, now whole
                self._line.clear()
            event = self._read_line(line)
            if event is not None:
                events.append(event)
        self._line += rest
        self._check_size(len(self._line))
        return events

    def close(self) -> Event | None:
        """Return what ends with the stream: the last event where it lacks only its blank line.

        That is `[DONE]` or a whole JSON object, half of which is never JSON; anything else stays `pending`.
        """
        line = bytes(self._line)
        if line:
            self._read_line(line)
        data = b"\n".join(self._data)
        if data != _DONE and not _is_json_object(data):
            return None
        self._line.clear()
        return self._end_event()

    @property
    def pending(self) -> bool:
        """Whether an event has begun and not ended: the stream was cut if it stops now."""
        return any(self._data) or (bool(self._line.strip()) and not self._line.startswith(b":"))

    def _read_line(self, line: bytes) -> Event | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._end_event()
        if line.startswith(b":"):
            return None
        self._size += len(line)
        self._check_size(0)
        if line.startswith(b"data: "):  # nearly all of them
            self._data.append(line[6:])
            return None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._kind = value.decode("utf-8", "replace")
        return None

    def _end_event(self) -> Event | None:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        kind = self._kind or "message"
        self._data, self._kind, self._size = [], "", 0
        return Event(data, kind) if data else None

    def _check_size(self, unread: int) -> None:
        if self._size + unread > self._limit:
            raise EventTooLarge


def is_keepalive(event: Event) -> bool:
    """Whether an event only keeps the connection open: blank data, a comment sent as data, a ping."""
    if event.event != "message" and _is_keepalive_word(event.event):
        return True
    data = event.data
    if len(data) > 64 or data.startswith((b"{", _DONE)):  # nearly all of them
        return False
    text = data.decode("utf-8", "replace").strip()
    return not text or text.startswith(":") or _is_keepalive_word(text.strip('[]"'))


def _is_keepalive_word(text: str) -> bool:
    return text.lower().replace("-", "").replace("_", "").replace(" ", "") in _KEEPALIVE_WORDS


def _is_json_object(data: bytes) -> bool:
    if not data.startswith(b"{"):
        return False
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def format_event(data: bytes, event: str | None = None) -> bytes:
    """Write one event for the wire; `data` must hold no newline, as JSON from orjson does not."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": still there\n\n"
"""A comment, which clients of event streams leave out; proxies cut what is silent for a minute."""
