"""What access control costs a request, in CPU: the gateway's door in front of an app that does nothing.

Keys with limits of their own and of their tenant, usage, metrics by tenant, and the audit log in a file; the cost
of the app alone is taken off.

"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from _report import report
from starlette.types import Message, Receive, Scope, Send

from services.core.metrics import Metrics
from services.gateway.access.caller import Limits, find_caller
from services.gateway.access.keys import Key, KeyList, hash_key, make_key, write_keys
from services.gateway.access.ledger import find_ledger
from services.gateway.access.middleware import AccessMiddleware, Door
from services.gateway.access.settings import AccessSettings
from services.gateway.access.tenants import stored_name

KEYS, TENANTS = 200, 50
REQUESTS, ROUNDS = 5000, 5
MOST_MS = 0.15
LIMITS = Limits(requests_per_minute=10**9, tokens_per_minute=10**9, tokens_per_day=10**9, concurrent=1000)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Reply as an answer would: name a collection, use tokens, send two messages."""
    ledger = find_ledger()
    if find_caller() is not None:
        stored_name("default")
    if ledger is not None:
        ledger.prompt_tokens, ledger.completion_tokens = 900, 60
        ledger.models.add("small")
        ledger.documents.add("handbook.md")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def receive() -> Message:
    return {"type": "http.request", "body": b""}


async def send(message: Message) -> None:
    await asyncio.sleep(0)  # as a socket would let others have a turn


def make_scope(key: str) -> Scope:
    headers = [
        (b"host", b"rag.example.com"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"bench"),
        (b"authorization", f"Bearer {key}".encode()),
    ]
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}


async def measure(app: AccessMiddleware | None, keys: list[str]) -> float:
    """Return the milliseconds of CPU of a request, of the cheapest of some rounds."""
    scopes = [make_scope(key) for key in keys]
    called = answer if app is None else app
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for number in range(REQUESTS):
            await called(scopes[number % len(scopes)], receive, send)
        best = min(best, (time.process_time() - start) / REQUESTS * 1e3)
    return best


def make_door(folder: Path, keys: list[str], limits: Limits, audit: str) -> Door:
    listed = [
        Key(hash=hash_key(key), tenant=f"tenant-{number % TENANTS}", roles=["ask"], limits=limits)
        for number, key in enumerate(keys)
    ]
    path = folder / "keys.json"
    tenants = {f"tenant-{number}": limits for number in range(TENANTS)} if limits != Limits() else {}
    write_keys(path, KeyList(keys=listed, tenants=tenants))
    return Door(AccessSettings(keys_file=path, audit_log=audit), Metrics("gateway"))


async def main() -> None:
    keys = [make_key() for _ in range(KEYS)]
    rows: list[dict[str, str | float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = await measure(None, keys)
        for label, limits, audit in (
            ("keys", Limits(), ""),
            ("keys, limits", LIMITS, ""),
            ("keys, limits, audit log", LIMITS, str(folder / "audit.jsonl")),
        ):
            door = make_door(folder, keys, limits, audit)
            cost = await measure(AccessMiddleware(answer, door), keys) - alone
            rows.append(
                {"with": label, "keys": str(KEYS), "n": str(REQUESTS * ROUNDS), "cpu ms/request": cost}
            )
    report("access", "Access control, CPU of a request", rows, n=REQUESTS * ROUNDS)
    most = max(float(row["cpu ms/request"]) for row in rows)
    if most > MOST_MS:
        raise SystemExit(f"access control costs {most:.3f} ms of CPU a request, more than {MOST_MS}")


if __name__ == "__main__":
    asyncio.run(main())
