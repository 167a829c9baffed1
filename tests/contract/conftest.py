"""Running an app for real: uvicorn on a free loopback port, in a thread of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from services.core.listener import ListenerConfig
from services.core.models.fetch import fetch
from services.core.settings import ServiceSettings

Serve = Callable[[ASGIApp], str]


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    server = uvicorn.Server(ListenerConfig("test", app, ServiceSettings(), 0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the app did not start: see the log above")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Start an app and return its base URL; it stops after the module's tests."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


LLAMA_CONTEXT = 4096


@pytest.fixture(scope="session")
def llama_server(models_home: Path) -> Iterator[str]:
    """The base URL of a real llama.cpp HTTP server with SmolLM2-135M, in a process of its own."""
    pytest.importorskip("xllamacpp", reason="needs the extra `generation`")
    script = Path(__file__).parent / "llama_http.py"
    model = fetch("smollm2-135m-instruct", models_home)
    command = [sys.executable, str(script), str(model), str(LLAMA_CONTEXT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.kill()
