"""Look at this machine's ports, and ask a service whether it is ready; without an event loop."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from pydantic import ValidationError

from services.core.tls import client_context
from services.core.wire.base import DependencyHealth, Readiness

Probe = Callable[[str, str, Mapping[str, str]], str]
"""Asks a service, by its name, its URL and the headers that it wants, what it waits for."""
NO_HEADERS: Mapping[str, str] = {}
PROBE_SECONDS = 4.0
STARTING = "starting"
COMMAND_LENGTH = 60


def _get(url: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=PROBE_SECONDS, context=client_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers=dict(headers))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def readiness(name: str, url: str, headers: Mapping[str, str] = NO_HEADERS) -> Readiness | None:
    """Read the service's own account; None where nothing answers. Without its token it tells no details.

    A server that has no `/health/ready` (TEI, vLLM) is ready where its `/health` answers 200.
    """
    try:
        status, body = _get(url, "/health/ready", headers)
        if status == 404:
            return Readiness(service=name, ready=_get(url, "/health", headers)[0] == 200)
        return Readiness.model_validate_json(body)
    except ValidationError:
        return Readiness(service=name, ready=False)
    except ssl.SSLCertVerificationError as error:
        refusal = (
            f"the certificate at {url} is not believed ({error.verify_message}): "
            "TLS_CA_FILE names an authority of your own"
        )
        return Readiness(
            service=name,
            ready=False,
            dependencies={"certificate": DependencyHealth(ready=False, latency_ms=0, detail=refusal)},
        )
    except (OSError, http.client.HTTPException):
        return None


def awaits_ready(name: str, url: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
    """Say what a service waits for before it is ready, in one line; empty where it is ready."""
    state = readiness(name, url, headers)
    if state is None:
        return STARTING
    if state.ready:
        return ""
    open_ends = [
        dependency.detail or f"{name} is not ready"
        for name, dependency in state.dependencies.items()
        if not dependency.ready
    ]
    return "; ".join(open_ends) or "not ready"


def awaits_answer(name: str, url: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
    """As `awaits_ready`, but any account of its readiness will do."""
    return STARTING if readiness(name, url, headers) is None else ""


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def port_owner(port: int) -> str:
    """Name the process that listens on `port` as "python -m http.server (pid 12)", where it can be told."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if listens and connection.pid is not None:
                command = psutil.Process(connection.pid).cmdline()
                words = [Path(command[0]).name, *command[1:]] if command else ["a process"]
                return f"{' '.join(words)[:COMMAND_LENGTH]} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Find a loopback port for each name, all different and free at the time of the call."""
    held: dict[str, socket.socket] = {}
    try:
        for name in names:
            held[name] = socket.socket()
            held[name].bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in held.items()}
    finally:
        for probe in held.values():
            probe.close()
