"""A hundred and more malformed files through a dataprep process: each fails for itself, by name and cause."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests import samples
from tests.contract.conftest import Serve
from tests.malformed import LIMITS, Malformed, malformed
from tests.ports import free_port

AT_A_TIME = 24
GROWTH = 1.2
START_SECONDS = 60.0


@dataclass(frozen=True)
class Dataprep:
    """The service in a process of its own, whose parsers are its children."""

    url: str
    process: psutil.Process

    def send(self, files: Sequence[tuple[str, bytes]]) -> dict[str, list[dict[str, object]]]:
        """What became of each, by the name it was sent under: of an archive, of each file in it."""
        reply = httpx.post(
            f"{self.url}/v1/dataprep/ingest",
            files=[("files", ("upload", data)) for _, data in files],
            data={"names": [name for name, _ in files]},
            timeout=300,
        )
        assert reply.status_code == 200, reply.text
        told = reply.json()["files"]
        return {
            name: [each for each in told if each["name"] == name or each["name"].startswith(f"{name}/")]
            for name, _ in files
        }

    def memory(self) -> int:
        """Resident bytes of the service and its parser processes, together."""
        return sum(each.memory_info().rss for each in [self.process, *self.process.children(recursive=True)])


@pytest.fixture
def dataprep(serve: Serve, tmp_path: Path) -> Iterator[Dataprep]:
    port = free_port()
    environment = {
        **os.environ,
        **{name: str(value) for name, value in LIMITS.items()},
        "DATAPREP_PORT": str(port),
        "DATAPREP_PARSERS": "2",
        "JOBS_URL": f"sqlite://{tmp_path}/jobs",
        "EMBEDDING_URL": serve(create_embedding(EmbeddingSettings(backend="fake", port=6000))),
        "RETRIEVAL_URL": serve(create_retrieval(RetrievalSettings(vector_url="memory://"))),
    }
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "services.dataprep"]
        with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_for(url)
                yield Dataprep(url, psutil.Process(process.pid))
            finally:
                process.terminate()
                process.wait(timeout=30)


def _wait_for(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("dataprep did not start")


def _wrong(bad: Malformed, told: Sequence[dict[str, object]]) -> str:
    """What is not as it should be of this file; empty where all is."""
    errors = [each["error"] for each in told if each["status"] == "failed"]
    messages = [error["message"] for error in errors if isinstance(error, dict)]
    if len(told) == 0 or len(messages) < len(told):
        return f"{bad.name}: {told}"
    names = (bad.name, ascii(bad.name)[1:-1])  # what may hold control characters is shown escaped
    if any(re.search(bad.words, each) and any(name in each for name in names) for each in messages):
        return ""
    return f"{bad.name}: {bad.words!r} is not in {messages}"


def test_malformed_files_fail_alone_by_name_and_cause_and_leave_no_memory_behind(dataprep: Dataprep) -> None:
    warm = [(f"{number}/{name}", data) for number in range(2) for name, data in samples.valid().items()]
    good_files = [each for told in dataprep.send(warm).values() for each in told]
    assert {each["status"] for each in good_files} == {"ingested"}
    before = dataprep.memory()
    files = malformed()
    assert len(files) >= 100
    wrong: list[str] = []
    for start in range(0, len(files), AT_A_TIME):
        batch = files[start : start + AT_A_TIME]
        good = (f"good-{start}.md", b"# Good\n\nIt is ingested among the others. %d" % start)
        told = dataprep.send([good, *((each.name, each.data) for each in batch)])
        assert [each["status"] for each in told[good[0]]] == ["ingested"]
        wrong += filter(None, (_wrong(each, told[each.name]) for each in batch))
    assert wrong == []
    after = dataprep.memory()
    assert dataprep.process.is_running()
    assert httpx.get(f"{dataprep.url}/health/ready").status_code == 200
    documents = httpx.get(f"{dataprep.url}/v1/documents").json()["documents"]
    assert {each["name"] for each in documents} == {
        *(each["name"] for each in good_files),  # with what is attached to e-mails
        *(f"good-{start}.md" for start in range(0, len(files), AT_A_TIME)),
    }
    print(f"{len(files)} files; {before >> 20} MiB before, {after >> 20} MiB after")
    assert after <= GROWTH * before
