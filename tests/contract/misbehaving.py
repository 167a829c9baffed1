"""A raw HTTP server that misbehaves as the row that a prompt names says. Loopback, one reply a connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

Part = bytes | float
"""Bytes to send in one piece, or seconds to wait."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
LAST = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """The parts of a reply, in order; after the last one the connection is closed."""

    parts: Sequence[Part]

    @classmethod
    def status(cls, line: str, body: bytes, *headers: str, kind: str = "application/json") -> Reply:
        head = [f"HTTP/1.1 {line}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
        return cls(["\r\n".join([*head, "connection: close", "", ""]).encode() + body])

    @classmethod
    def stream(cls, *pieces: Part) -> Reply:
        """Each piece is one HTTP chunk, so one read of the client's in practice; ended properly."""
        return cls([HEAD, *(chunked(piece) for piece in pieces), LAST])

    @classmethod
    def torn(cls, *pieces: Part) -> Reply:
        """The connection is closed where a chunk should follow."""
        return cls([HEAD, *(chunked(piece) for piece in pieces)])


def chunked(piece: Part) -> Part:
    return piece if isinstance(piece, float) else b"%x\r\n%b\r\n" % (len(piece), piece)


class Misbehaving:
    """Answers `helpers` paths well, and every other POST with the row that the body's `row=NAME` names."""

    def __init__(
        self,
        rows: Mapping[str, Reply],
        helpers: Mapping[str, Callable[[dict[str, object]], object]],
        *,
        pause: float = 0.01,
    ) -> None:
        self._rows = rows
        self._helpers = helpers
        self._pause = pause
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1]) if length else 0)
            for part in self._reply(head.split(" ")[1], body).parts:
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(self._pause)  # so that the next part is a segment of its own
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _reply(self, path: str, body: bytes) -> Reply:
        if path in self._helpers:
            return Reply.status("200 OK", orjson.dumps(self._helpers[path](orjson.loads(body))))
        row = re.search(rb"row=([a-z0-9-]+)", body)
        return self._rows[row[1].decode()] if row else Reply.status("200 OK", b'{"data": []}')
