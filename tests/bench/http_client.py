"""What one call costs the caller, by HTTP client: the figures behind docs/decisions/0001-http-client.md."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import orjson
import uvloop
from _report import free_port, report

CALLS = 1500
BODY = orjson.dumps({"inputs": "what is it?" * 20, "vector": [0.123456789] * 384})

SERVER = """
import uvicorn
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[" + b"0.123456789," * 384 + b"0]"})
uvicorn.run(app, port=%d, log_level="error", loop="uvloop", http="httptools", lifespan="off")
"""


async def measure(call: Callable[[], Awaitable[bytes]]) -> tuple[float, float]:
    """Median wall time and mean CPU time of one call, in ms."""
    for _ in range(100):
        await call()
    walls: list[float] = []
    cpu = time.process_time()
    for _ in range(CALLS):
        start = time.perf_counter()
        await call()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls) * 1e3, (time.process_time() - cpu) / CALLS * 1e3


async def wait_until_up(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            try:
                await client.post(url, content=b"{}")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise SystemExit(f"the bench server at {url} did not start")


async def compare(url: str) -> None:
    await wait_until_up(url)
    rows: list[dict[str, str | float]] = []
    async with aiohttp.ClientSession() as session:

        async def with_aiohttp() -> bytes:
            async with session.post(url, data=BODY) as reply:
                return await reply.read()

        wall, cpu = await measure(with_aiohttp)
        rows.append({"client": f"aiohttp {aiohttp.__version__}", "wall p50 ms": wall, "cpu ms": cpu})
    async with httpx.AsyncClient() as client:

        async def with_httpx() -> bytes:
            return (await client.post(url, content=BODY)).content

        wall, cpu = await measure(with_httpx)
        rows.append({"client": f"httpx {httpx.__version__}", "wall p50 ms": wall, "cpu ms": cpu})
    report("http-client", "One POST of 5 KB to loopback, sequential", rows, n=CALLS)


def main() -> None:
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", SERVER % port])
    try:
        uvloop.run(compare(f"http://127.0.0.1:{port}/embed"))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
