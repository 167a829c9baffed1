"""Services on a disk that is full, becomes free again, or cannot be written."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from services.core.client import HttpClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import DiskFull, RaglineError
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.ports import free_port

DISK_MB = 200
KEPT = 100_000_000
FILE = {"files": ("a.txt", b"A pound of feathers weighs a pound.", "text/plain")}


def passages(document: str, count: int = 4) -> list[StoredPassage]:
    return [
        StoredPassage(
            passage=Passage(id=f"{document}/{i}", document_id=document, text="feathers " * 200, index=i),
            vector=[1.0, float(i)],
        )
        for i in range(count)
    ]


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small disk of its own. Skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={DISK_MB}m", *options]), "tmpfs", str(folder)]
    with suppress(FileNotFoundError):
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", "-l", str(folder)], check=True)
            return
    pytest.skip("no disk can be mounted here: it takes root")


def start(service: str, home: Path, log: Path, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "RAGLINE_HOME": str(home), **variables}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"services.{service}"], env=environment, stdout=output, stderr=output
        )


@asynccontextmanager
async def retrieval(home: Path, log: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], RetrievalClient]]:
    port = free_port()
    child = start("retrieval", home, log, RETRIEVAL_PORT=str(port), DISK_FREE_BYTES=str(KEPT))
    try:
        async with HttpClient("retrieval", f"http://127.0.0.1:{port}") as http, asyncio.timeout(120):
            client = RetrievalClient(http)
            while child.poll() is None:
                with suppress(RaglineError):
                    await client.ready()
                    break
                await asyncio.sleep(0.05)
            yield child, client
    finally:
        child.kill()
        child.wait()


async def test_a_full_disk_ends_writes_and_nothing_else_and_space_brings_them_back(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        async with retrieval(disk / "home", tmp_path / "log") as (child, client):
            await client.upsert("c", "m", passages("first"))
            filler = disk / "filler"
            with filler.open("wb") as file, suppress(OSError):
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            for number in range(40):
                with pytest.raises(DiskFull, match="DISK_FREE_BYTES"):
                    await client.upsert("c", "m", passages(f"more-{number}", 64))
            with pytest.raises(DiskFull):
                await client.delete("c", "first")
            assert [document.id for document in await client.documents("c")] == ["first"]
            assert len(await client.search("feathers", [1.0, 0.0], k=4, collection="c")) == 4
            assert child.poll() is None
            filler.unlink()
            await client.upsert("c", "m", passages("second"))
            assert await client.delete("c", "first") == 4
            assert [document.id for document in await client.documents("c")] == ["second"]


async def test_below_the_reserve_deletions_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISK_FREE_BYTES", "1000")
    app = create_retrieval(RetrievalSettings(vector_url=f"edge://{tmp_path}/vectors"))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://r") as http,
    ):
        stored = [passage.model_dump() for passage in passages("first")]
        upsert = {"collection": "c", "model": "m", "passages": stored}
        assert (await http.post("/v1/passages", json=upsert)).status_code == 200
        monkeypatch.setattr("services.core.disk.count_free", lambda _: 900)
        refused = await http.post("/v1/passages", json=upsert)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
        assert int(refused.headers["retry-after"]) > 0
        assert (await http.get("/v1/documents", params={"collection": "c"})).json()["documents"]
        removed = await http.post("/v1/passages/delete", json={"collection": "c", "document_id": "first"})
        assert removed.json() == {"count": 4}
        monkeypatch.setattr("services.core.disk.count_free", lambda _: 2000)
        assert (await http.post("/v1/passages", json=upsert)).status_code == 200


async def test_files_are_not_accepted_where_their_disk_is_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISK_FREE_BYTES", "1000")
    app = create_dataprep(DataprepSettings(jobs_url=f"sqlite://{tmp_path}/jobs"))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://d") as http,
    ):
        for free, status in ((900, 507), (2000, 202), (0, 507)):
            monkeypatch.setattr("services.core.disk.count_free", lambda _, free=free: free)
            reply = await http.post("/v1/jobs", files=FILE)
            assert reply.status_code == status, reply.text
            assert (await http.get("/v1/jobs")).status_code == 200
        free = iter([2000, 100])
        monkeypatch.setattr("services.core.disk.count_free", lambda _: next(free))
        assert (await http.post("/v1/jobs", files=FILE)).status_code == 507, "it became full meanwhile"
        assert not list((tmp_path / "jobs" / "spool").glob(".incoming*"))


@pytest.mark.parametrize("service", ["retrieval", "dataprep"])
def test_a_home_that_cannot_be_written_is_one_clear_line(tmp_path: Path, service: str) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        log = tmp_path / "log"
        child = start(service, disk / "home", log, **{f"{service.upper()}_PORT": str(free_port())})
        assert child.wait(120) == 3
        said = log.read_text()
        errors = [line for line in map(json.loads, said.splitlines()) if line["level"] == "error"]
        assert "Traceback" not in said
        assert "cannot start: " in errors[0]["event"]
        assert str(disk / "home") in errors[0]["event"]
        assert "Read-only file system" in errors[0]["event"]
