"""The stack as `docker compose up` gives it: questions, a crash that heals, and data that outlives `down`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.docker import ROOT, Project, required

KNOWLEDGE = sorted((ROOT / "docs" / "examples" / "knowledge-base").glob("*.md"))
HEAL_SECONDS = 180
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    project = Project(required(), f"ragline-test-{os.getpid()}")
    cache = Path(os.environ.get("RAGLINE_HOME", "~/.ragline")).expanduser() / "models"
    if cache.is_dir():
        project.seed_models(cache)
    started = time.monotonic()
    try:
        project.up()
        print(f"\nup, all healthy: {time.monotonic() - started:.0f} s")
        yield project
    finally:
        project.down("--volumes", "--remove-orphans")


def ask(project: Project, question: str) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0}
    reply = httpx.post(f"{project.url}/v1/chat/completions", json=body, timeout=300)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def answered(project: Project) -> None:
    """The demo's questions: one cited, one declined."""
    reply = ask(project, "How many grams are in one pound?")
    message = reply["choices"][0]["message"]
    assert "453" in message["content"]
    assert "<think>" not in message["content"]
    assert message["citations"][0]["filename"] == "mass-and-weight.md"
    assert ask(project, "Who invented the telephone?")["outcome"] == "abstained"


def test_the_demo_questions_are_answered_through_it(project: Project):
    began = time.monotonic()
    files = [("files", (path.name, path.read_bytes())) for path in KNOWLEDGE]
    reply = httpx.post(f"{project.url}/v1/documents", files=files, timeout=300)
    assert reply.status_code == 200, reply.text
    answered(project)
    print(f"\ningested and answered: {time.monotonic() - began:.0f} s")


def test_no_container_of_ours_runs_as_root_or_can_write_its_files(project: Project):
    for name in ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway"):
        state = project.state(name)
        assert state["Config"]["User"] == "10001:10001"
        assert state["HostConfig"]["ReadonlyRootfs"] is True
        written = project.run("exec", "-T", name, "touch", "/opt/ragline/x")
        assert "Read-only file system" in written.stderr


@pytest.mark.parametrize("service", ["retrieval", "generation"])
def test_a_killed_service_is_named_and_heals(project: Project, service: str):
    before = project.state(service)["RestartCount"]
    project.crash(service)
    deadline = time.monotonic() + HEAL_SECONDS
    down: set[str] = set()
    while time.monotonic() < deadline:
        reply = httpx.get(f"{project.url}/health/ready", timeout=30)
        if reply.status_code == 200 and project.state(service)["RestartCount"] > before:
            break
        if reply.status_code != 200:
            down.add(reply.text)
        time.sleep(0.2)
    else:
        pytest.fail(f"{service} did not heal within {HEAL_SECONDS} s: {reply.text}")
    assert all(service in text for text in down)
    answered(project)


def test_what_was_ingested_outlives_down_and_up(project: Project):
    before = httpx.get(f"{project.url}/v1/documents", timeout=60).json()
    project.down()
    project.up()
    assert httpx.get(f"{project.url}/v1/documents", timeout=60).json() == before
    answered(project)


def test_secrets_as_shipped_stop_a_start_beyond_loopback(project: Project, tmp_path: Path):
    told = tmp_path / "secrets.yaml"

    def check(secret: str) -> int:
        told.write_text(
            f"services: {{secrets-changed: {{environment: {{SECRETS: QDRANT_API_KEY={secret}}}}}}}\n"
        )
        start = ("-f", str(told), "up", "--no-build", "--no-deps", "secrets-changed")
        project.run(*start, BIND="0.0.0.0")  # noqa: S104
        code: int = project.state("secrets-changed")["State"]["ExitCode"]
        return code

    assert check("CHANGEME") == 1
    assert "set QDRANT_API_KEY in .env" in project.run("logs", "secrets-changed").stdout
    assert check("changed") == 0
