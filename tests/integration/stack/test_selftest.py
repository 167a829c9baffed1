"""What `helm test` runs, against the real chain."""

from __future__ import annotations

import subprocess
import sys

import httpx

from pipelines.conformance.selftest import COLLECTION
from tests.integration.conftest import Running


def selftest(running: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.selftest", *arguments]
    environment = {**running.environment, "RAGLINE_URL": running.url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)


def test_it_holds_for_every_entry_and_leaves_nothing(running: Running) -> None:
    done = selftest(running)
    assert done.returncode == 0, done.stdout + done.stderr
    for entry in ("openvino-entry", "llamacpp-entry"):
        assert f"ok      {entry} answered" in done.stdout
    assert done.stdout.endswith("passed\n")
    left = httpx.get(f"{running.url}/v1/documents", params={"collection": COLLECTION}).json()
    assert left == {"documents": []}


def test_it_fails_where_no_entry_is_left_to_ask(running: Running) -> None:
    done = selftest(running, "--skip=openvino-entry", "--skip=llamacpp-entry")
    assert done.returncode == 1
    assert "no model entry to ask" in done.stdout
    assert done.stdout.endswith("FAILED\n")
