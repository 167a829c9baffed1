"""A run of tests that is killed or interrupted leaves none of its processes behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.run_guard import VARIABLE, survivors

STARTING = """
import json, os, subprocess, sys, time
from pathlib import Path
from services.cli.ports import free
from services.cli.stack import Stack
from tests.redis_server import RedisServer

def test_starts_what_tests_start(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with Stack(tmp_path, {**os.environ, "EMBEDDING_BACKEND": "fake"}, free(["embedding"])) as stack:
            pid = stack.start("embedding")
            stack.wait_ready(60)
            Path(os.environ["STARTED"]).write_text(json.dumps([server.pid, sleeper.pid, pid]))
            time.sleep(600)
    finally:
        time.sleep(600)  # as a fixture that does not come to its end
"""
SECONDS = 60.0


def started(path: Path, run: subprocess.Popen[bytes]) -> list[int]:
    """The processes that the run's test has started, once it has."""
    end = time.monotonic() + SECONDS
    while not path.exists() or not path.read_text():
        assert run.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < end
        time.sleep(0.1)
    pids: list[int] = json.loads(path.read_text())
    return pids


@pytest.mark.parametrize(
    ("workers", "number"),
    [("0", signal.SIGKILL), ("1", signal.SIGKILL), ("1", signal.SIGINT)],
    ids=["killed", "killed with workers", "interrupted with workers"],
)
def test_a_run_that_ends_early_leaves_nothing(tmp_path: Path, workers: str, number: signal.Signals) -> None:
    (tmp_path / "test_starting.py").write_text(STARTING)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "STARTED": str(tmp_path / "started"), "PYTHONPATH": str(root)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
    ]
    run = subprocess.Popen(
        [*command, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        pids = started(tmp_path / "started", run)
        [mark] = {psutil.Process(pid).environ()[VARIABLE].split("/")[-1] for pid in pids}
        assert {process.pid for process in survivors(mark)} >= set(pids)
        for _ in range(1 if number == signal.SIGKILL else 2):  # a second Ctrl-C breaks the clean-up off
            os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
            time.sleep(1)
        end = time.monotonic() + SECONDS
        while left := survivors(mark):
            assert time.monotonic() < end, left
            time.sleep(0.1)
    finally:
        run.kill()
        run.wait()
