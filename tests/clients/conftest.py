"""The gateway that the clients ask: a process of the environment that Ragline is installed in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("RAGLINE_PYTHON", sys.executable)
"""The interpreter that has Ragline; the one that runs the tests has the clients."""


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway's address; `tests/clients/services.py` says what is behind it."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    log = tmp_path_factory.mktemp("gateway") / "log"
    command = [PYTHON, "-m", "tests.clients.services"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, log.read_text()
            yield address
        finally:
            process.stdin.close()
            process.wait(timeout=30)
