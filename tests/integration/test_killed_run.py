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
from tests.soak import soak_only

STARTING = Path(__file__).with_name("starting.py")
SECONDS = 80.0
PYTEST = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without one
sys.exit(pytest.main(sys.argv[1:]))
"""


def started(path: Path, run: subprocess.Popen[bytes], log: Path) -> list[int]:
    """The processes that the run's test has started, once it has."""
    end = time.monotonic() + SECONDS
    while not path.exists() or not path.read_text():
        assert run.poll() is None, f"the run ended before it was killed: {log.read_text()}"
        assert time.monotonic() < end
        time.sleep(0.1)
    pids: list[int] = json.loads(path.read_text())
    return pids


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        pytest.param("0", signal.SIGKILL, id="killed"),
        pytest.param("1", signal.SIGKILL, id="killed with workers"),
        soak_only("1", signal.SIGINT, reason="what is killed is harder", id="interrupted with workers"),
    ],
)
def test_a_run_that_ends_early_leaves_nothing(tmp_path: Path, workers: str, number: signal.Signals) -> None:
    # what pytest tells this very run and its workers is not for the other one
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**inherited, "STARTED": str(tmp_path / "started")}
    options = ["-p", "no:cacheprovider", "-n", workers, f"--basetemp={tmp_path}/run"]
    command = [sys.executable, "-c", PYTEST, *options, str(STARTING)]
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        pids = started(tmp_path / "started", run, tmp_path / "log")
        [mark] = {psutil.Process(pid).environ()[VARIABLE].split("/")[-1] for pid in pids}
        assert {process.pid for process in survivors(mark)} >= set(pids)
        end = time.monotonic() + SECONDS
        run.send_signal(number)
        while number == signal.SIGINT and run.poll() is None and time.monotonic() < end:
            os.killpg(
                run.pid, number
            )  # Ctrl-C once more breaks the clean-up off; on a busy machine two can be one
            time.sleep(1)
        while left := survivors(mark):
            assert time.monotonic() < end, left
            time.sleep(0.1)
    finally:
        run.kill()
        run.wait()
