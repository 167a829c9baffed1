"""A real HTTP proxy on loopback that says whom it was asked for, and reaches one server in the place of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PIECE_BYTES = 1 << 16


@dataclass
class LocalProxy:
    """Where it listens, and what it was asked for: `GET http://host/path` or `CONNECT host:port`."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    refuses: bool = False


@asynccontextmanager
async def run_proxy(upstream_port: int) -> AsyncIterator[LocalProxy]:
    """Run a proxy that leads every connection to a port of this machine."""
    proxy = LocalProxy()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        proxy.asked.append(f"{method} {target}")
        if proxy.refuses:
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            behind, ahead = await asyncio.open_connection("127.0.0.1", upstream_port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.split("://", 1)[1].partition("/")[2]
                ahead.write(head.replace(target, path, 1).encode("latin-1"))
            await asyncio.gather(_copy(reader, ahead), _copy(behind, writer))
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
