"""What users see of a minute at full load, with keys and limits: 500 chats at a time, and 50 uploads.

Each client asks again as soon as it is answered, or after what `Retry-After` says. The clients are of four tenants;
one of them may ask only so often. Every reply must be a 200 that is whole, or a 429 that says when to come again.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import psutil
import uvloop
from _report import report
from burst import Outcome, ask, put_in, stack

from services.gateway.access.caller import Limits
from services.gateway.access.keys import Key, KeyList, hash_key, make_key, write_keys

CHATS, UPLOADS = 500, 50
SECONDS = 60.0
TENANTS = ("one", "two", "three", "few")
FREE = Limits(requests_per_minute=1_000_000, tokens_per_minute=100_000_000, concurrent=10_000)
TIGHT = Limits(requests_per_minute=600, tokens_per_minute=100_000_000, concurrent=50)
PATIENCE = {
    "DEADLINE_SECONDS": "240",
    "EMBEDDING_SECONDS": "60",
    "RETRIEVAL_SECONDS": "60",
    "RERANKING_SECONDS": "60",
    "GATEWAY_QUEUE_SECONDS": "60",
}
"""For a machine that does other things as well: it is the answers that are counted here, not their haste."""
LONGEST_WAIT = 5.0
ANSWER_SECONDS = 240.0


async def repeat(url: str, key: str, number: int, *, uploads: bool, until: float) -> list[Outcome]:
    """Be one client until the time is up. Returns how its requests ended."""
    outcomes: list[Outcome] = []
    headers = {"authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        while time.monotonic() < until:
            outcome = await (put_in(session, url, number) if uploads else ask(session, url))
            outcomes.append(outcome)
            if outcome.status != 200:
                await asyncio.sleep(min(LONGEST_WAIT, 1.0 + number % 5))
    return outcomes


async def fill(url: str, keys: list[str]) -> None:
    """Put a document in for each tenant: to ask a collection that is not there is a 404."""
    for key in keys:
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
            outcome = await put_in(session, url, 0)
        if outcome.status != 200:
            raise SystemExit(f"a first document was not taken: {outcome.message}")


async def load(url: str, keys: list[str]) -> tuple[list[Outcome], list[Outcome]]:
    until = time.monotonic() + SECONDS
    clients = [
        repeat(url, keys[number % len(keys)], number, uploads=number >= CHATS, until=until)
        for number in range(CHATS + UPLOADS)
    ]
    found = await asyncio.gather(*clients)
    chats = [outcome for outcomes in found[:CHATS] for outcome in outcomes]
    return chats, [outcome for outcomes in found[CHATS:] for outcome in outcomes]


def row(kind: str, outcomes: list[Outcome]) -> dict[str, str | float]:
    statuses = Counter(outcome.status for outcome in outcomes)
    seconds = sorted(outcome.seconds for outcome in outcomes if outcome.status == 200)
    late = [outcome for outcome in outcomes if outcome.status == 429]
    for message, count in Counter(o.message for o in outcomes if o.status not in {200, 429}).most_common(5):
        print(f"  {count} x {message}", file=sys.stderr)
    return {
        "requests": kind,
        "n": str(len(outcomes)),
        "200": str(statuses[200]),
        "429": str(statuses[429]),
        "other": str(sum(count for status, count in statuses.items() if status not in {200, 429})),
        "429 without Retry-After": str(sum(not outcome.retry_after for outcome in late)),
        "p50 s": statistics.median(seconds) if seconds else 0.0,
        "p99 s": seconds[int(0.99 * (len(seconds) - 1))] if seconds else 0.0,
    }


def look(pid: int) -> tuple[float, int]:
    """Return a process' memory in MB, and its descriptors."""
    process = psutil.Process(pid)
    return process.memory_info().rss / 1e6, process.num_fds()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "keys.json"
        keys = {tenant: make_key() for tenant in TENANTS}
        listed = [
            Key(hash=hash_key(key), tenant=tenant, roles=["ask", "ingest"]) for tenant, key in keys.items()
        ]
        limits = {tenant: TIGHT if tenant == "few" else FREE for tenant in TENANTS}
        write_keys(path, KeyList(keys=listed, tenants=limits))
        more = {
            "GATEWAY_KEYS_FILE": str(path),
            "AUDIT_LOG": str(Path(name) / "audit.jsonl"),
            **PATIENCE,
        }
        with stack(more) as (url, running):
            pid = running.pid("gateway")
            assert pid is not None
            uvloop.run(fill(url, list(keys.values())))
            before = look(pid)
            chats, uploads = uvloop.run(load(url, list(keys.values())))
            time.sleep(80)  # longer than idle connections are kept
            after = look(pid)
    rows = [row("chats", chats), row("uploads", uploads)]
    report(
        "sustained",
        f"{CHATS} chats and {UPLOADS} uploads at a time for {SECONDS:g} s, with keys, limits and audit log",
        rows,
        n=len(chats) + len(uploads),
        note=f"The gateway before and after: {before[0]:.0f} and {after[0]:.0f} MB, "
        f"{before[1]} and {after[1]} descriptors.",
    )
    if any(int(str(one["other"])) + int(str(one["429 without Retry-After"])) for one in rows):
        raise SystemExit("a reply was neither a whole 200 nor an honest 429")


if __name__ == "__main__":
    main()
