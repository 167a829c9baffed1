"""Free and taken TCP ports."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

COMMAND_LENGTH = 60


def is_free(host: str, port: int) -> bool:
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


def owner(port: int) -> str:
    """The process that listens on `port`, as "python -m http.server (pid 12)", where the system tells."""
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


def free(names: Iterable[str]) -> dict[str, int]:
    """A free loopback port for each name, all different; free at the time of the call."""
    held: dict[str, socket.socket] = {}
    try:
        for name in names:
            held[name] = socket.socket()
            held[name].bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in held.items()}
    finally:
        for probe in held.values():
            probe.close()
