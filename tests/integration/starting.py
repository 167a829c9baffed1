"""A test that starts what tests start and never ends, for `test_killed_run`, which kills the run that it is in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from services.cli.local.stack import Stack
from tests.ports import free_ports
from tests.redis_server import RedisServer


def test_starts_what_tests_start(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with Stack(tmp_path, {**os.environ, "EMBEDDING_BACKEND": "fake"}, free_ports(["embedding"])) as stack:
            pid = stack.start("embedding")
            stack.wait_ready(60)
            Path(os.environ["STARTED"]).write_text(json.dumps([server.pid, sleeper.pid, pid]))
            time.sleep(600)
    finally:
        time.sleep(600)  # as a fixture that does not come to its end
