"""A document that changes all the time under readers: each sees one version of it, whole."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.local import probe
from tests.integration.ingestion import CHUNKS, READY_SECONDS, Ingestion, content, running
from tests.redis_server import RedisServer
from tests.soak import rounds, soak_only

VERSIONS = rounds(5, 50)
READERS = rounds(3, 8)
NAME = "changing.md"


def version(number: int) -> list[str]:
    """Three to eight passages that name their version and how many there are."""
    count = 3 + number * 7 % 6
    return [
        f"Version {number}, passage {at} of {count}, of the document that changes." for at in range(count)
    ]


class Reader(threading.Thread):
    """Reads as fast as it can until `over`; keeps what it saw that it must not see."""

    def __init__(self, ingestion: Ingestion, over: threading.Event, *, gateway: bool) -> None:
        super().__init__(daemon=True)
        self._ingestion = ingestion
        self._over = over
        self._gateway = gateway
        self.reads = 0
        self.seen: set[int] = set()
        self.wrong: list[Any] = []

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set() and not self.wrong:
                (self._list if self._gateway else self._search)(client)
                self.reads += 1

    def _search(self, client: httpx.Client) -> None:
        body = {"embedding": [1.0] * 384, "k": 100, "filter": {"title": NAME}}
        reply = client.post(f"{self._ingestion.retrieval}/v1/retrieval", json=body)
        texts = (
            sorted(passage["text"] for passage in reply.json()["retrieved_docs"]) if reply.is_success else []
        )
        numbers = {int(text.split()[1].rstrip(",")) for text in texts}
        if len(numbers) != 1 or texts != sorted(version(*numbers)):
            self.wrong.append((reply.status_code, sorted({text[:24] for text in texts}), len(texts)))
        self.seen |= numbers

    def _list(self, client: httpx.Client) -> None:
        reply = client.get(f"{self._ingestion.stack.url('gateway')}/v1/documents")
        counts = [each["passages"] for each in reply.json()["documents"] if each["name"] == NAME]
        if len(counts) != 1 or not 3 <= counts[0] <= 8:
            self.wrong.append(reply.text)


def replaced_under_readers(ingestion: Ingestion) -> None:
    stack = ingestion.stack
    stack.start("gateway")
    # the gateway without generation never gets ready, and answers
    stack.wait_ready(READY_SECONDS, ["gateway"], probed=probe.awaits_answer)
    url = f"{stack.url('gateway')}/v1/documents"

    def put(number: int) -> None:
        form = [("files", (NAME, content(version(number)))), ("files", (f"{number % 3}.md", b"Another one."))]
        reply = httpx.post(url, files=form, data=CHUNKS, timeout=60)
        assert reply.json()["files"][0]["status"] == "ingested", reply.text

    put(0)
    stop = threading.Event()
    readers = [Reader(ingestion, stop, gateway=number == 0) for number in range(READERS)]
    for reader in readers:
        reader.start()
    for number in range(1, VERSIONS + 1):
        put(number)
    stop.set()
    for reader in readers:
        reader.join(60)
    assert [reader.wrong for reader in readers if reader.wrong] == []
    assert all(reader.reads > VERSIONS for reader in readers)
    assert len(set().union(*(reader.seen for reader in readers))) > VERSIONS // 2, (
        "they read while it changed"
    )
    assert ingestion.passages()[NAME] == version(VERSIONS)


@pytest.mark.soak
@pytest.mark.parametrize(
    "store", ["edge", soak_only("redis", reason="test_retrieval_redis publishes under readers")]
)
def test_no_reader_sees_a_hole_or_two_versions(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    redis: RedisServer | None = None
    if store == "redis":
        redis = request.getfixturevalue("redis_server")
        redis.flush()
    with running(tmp_path, {}, redis) as ingestion:
        replaced_under_readers(ingestion)
