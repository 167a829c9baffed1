"""Ports for what a test starts by a port's number.

The kernel gives away any port of its own range, to whoever asks next: a port that was free a second ago may be in
use when the service that a test starts comes to bind it. These are outside that range, and one is given to one
process alone, for as long as that lives.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterable

FIRST, LAST = 20_000, 29_999

_reserved: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and that no other test is given."""
    for port in random.SystemRandom().sample(range(FIRST, LAST + 1), k=200):
        if port not in _reserved and _reserve(port) and _is_free(port):
            return port
    raise RuntimeError(f"no port between {FIRST} and {LAST} is free")


def free_ports(names: Iterable[str]) -> dict[str, int]:
    return {name: free_port() for name in names}


def _reserve(port: int) -> bool:
    """Take the name that stands for the port: Linux gives it to one process, and back when that ends."""
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0ragline-test-port-{port}")
    except OSError:
        name.close()
        return False
    _reserved.add(port)
    name.detach()  # open for as long as the process lives
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
