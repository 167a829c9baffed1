"""The real chain: six processes and a corpus, with real models for `stack/` and with fakes; started once each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.cli.local.stack import Stack
from tests.ports import free_ports

KNOWLEDGE = Path(__file__).parents[2] / "docs" / "examples" / "knowledge-base"
SERVICES = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
ENTRIES = [
    {"name": "openvino-entry", "engine": "openvino", "model_id": "smollm2-135m-instruct"},
    {"name": "llamacpp-entry", "engine": "llamacpp", "model_id": "smollm2-135m-instruct"},
]
READY_SECONDS = 180


@dataclass(frozen=True)
class Running:
    """A running stack and how to reach it."""

    stack: Stack
    home: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self.stack.url("gateway")

    def kill(self, service: str) -> None:
        """SIGKILL, as an out-of-memory killer would; on a busy machine a process takes a while to be gone."""
        pid = self.stack.pid(service)
        assert pid is not None
        os.kill(pid, 9)
        until = time.monotonic() + 10
        while self.stack.pid(service) is not None and time.monotonic() < until:
            time.sleep(0.01)

    def heal(self, service: str, env: dict[str, str] | None = None) -> None:
        """Start it again and wait until it serves."""
        self.stack.restart(service, env)
        self.stack.wait_ready(READY_SECONDS, [service])

    def upload(self, name: str, content: bytes, **fields: str) -> httpx.Response:
        files = {"files": (name, content)}
        return httpx.post(f"{self.url}/v1/documents", files=files, data=fields, timeout=60)

    def documents(self) -> list[dict[str, object]]:
        reply = httpx.get(f"{self.url}/v1/documents")
        documents: list[dict[str, object]] = reply.json()["documents"]
        return documents


@contextmanager
def started(home: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[Running]:
    """All six services with these settings, ready, and the examples' knowledge base brought in."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    environment = {
        **inherited,
        "RAGLINE_HOME": str(home),
        "VECTOR_URL": f"edge://{folder}/vectors",
        "JOBS_URL": f"sqlite://{folder}/jobs",
        "OMP_WAIT_POLICY": "passive",  # llama.cpp's threads must not spin where tests share the processors
        **settings,
    }
    with Stack(home, environment, free_ports(SERVICES), run=folder / "run") as stack:
        for name in SERVICES:
            stack.start(name)
        stack.wait_ready(READY_SECONDS)
        running = Running(stack, folder, environment)
        for path in sorted(KNOWLEDGE.iterdir()):
            reply = running.upload(path.name, path.read_bytes())
            assert reply.status_code == 200, reply.text
        yield running


@pytest.fixture(scope="session")
def running(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack with real models. Prompts and answers are short: reading and writing them is most of the time."""
    settings = {
        "LLM_BACKENDS": json.dumps(ENTRIES),
        "LLM_BACKEND": "openvino-entry",
        "LLM_MAX_TOKENS": "24",
        "RERANKING_TOP_N": "1",
    }
    with started(models_home, tmp_path_factory.mktemp("stack"), settings) as running:
        yield running


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same services with models that cost nothing, for tests that kill and start them; its answers are slow."""
    settings = {
        "EMBEDDING_BACKEND": "fake",
        "LLM_BACKENDS": json.dumps(
            [{"name": "fake-entry", "engine": "fake", "model_id": "fake", "max_context": 4096}]
        ),
        "FAKE_TOKENS": "400",
        "FAKE_TOKENS_PER_SECOND": "40",
        "LLM_MAX_TOKENS": "200",
        "RELEVANCE_FLOOR": "0",
    }
    folder = tmp_path_factory.mktemp("fakes")
    with started(folder, folder, settings) as running:
        yield running
