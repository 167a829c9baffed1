"""A compose project of its own for a test: up, down, and what a container is doing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SWITCH = "RAGLINE_E2E"
BUILD_SECONDS = 1800
UP_SECONDS = 1800


def required() -> list[str]:
    """The compose command; skips where these tests were not asked for, fails where Docker is not there."""
    if os.environ.get(SWITCH) != "compose":
        pytest.skip(f"{SWITCH}=compose runs this: `make test-compose`")
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    try:
        subprocess.run([*command, "version"], check=True, capture_output=True)
        subprocess.run(["docker", "info"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.fail(f"no Docker engine with Compose: {error}")
    return command


class Project:
    """compose/compose.yaml under a name of its own, on a free port, with the images that `make images` built."""

    def __init__(self, command: list[str], name: str) -> None:
        self.port = free_port()
        self.name = name
        self._command = [*command, "-p", name, "-f", str(ROOT / "compose" / "compose.yaml")]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(
        self, *arguments: str, seconds: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GATEWAY_PORT": str(self.port), **variables}
        return subprocess.run(
            [*self._command, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def up(self, **variables: str) -> None:
        done = self.run("up", "--detach", "--wait", "--no-build", seconds=UP_SECONDS, **variables)
        if done.returncode:
            logs = self.run("logs", "--tail", "20").stdout
            pytest.fail(f"compose up failed: {done.stderr[-2000:]}\n{logs[-4000:]}")

    def down(self, *arguments: str) -> None:
        done = self.run("down", "--timeout", "40", *arguments, seconds=300)
        assert done.returncode == 0, done.stderr

    def seed_models(self, source: Path) -> None:
        """Copy models that were fetched before into the project's volume, with what was made of them."""
        volume = f"{self.name}_models"
        subprocess.run(["docker", "volume", "create", volume], check=True, capture_output=True)
        mounts = ["-v", f"{volume}:/to", "-v", f"{source}:/from:ro"]
        copy = "mkdir -p /to/models && cp -rp /from/. /to/models/ && chown -R 10001:10001 /to"
        image = f"ragline-embedding:{os.environ.get('RAGLINE_VERSION', '0.1.0')}"
        command = ["docker", "run", "--rm", "--user", "0", *mounts, image, "sh", "-c", copy]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    def state(self, service: str) -> dict[str, Any]:
        """`docker inspect` of the service's one container."""
        identifier = self.run("ps", "--all", "--quiet", service).stdout.strip()
        told = subprocess.run(["docker", "inspect", identifier], check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(told.stdout)[0]
        return found

    def crash(self, service: str) -> None:
        """SIGKILL to the service's process, as the kernel would send it: Docker starts it again."""
        os.kill(self.state(service)["State"]["Pid"], signal.SIGKILL)
