"""Ports that tests are given: of one process alone, free, and none of the kernel's."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests import ports
from tests.ports import free_port, free_ports


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LAST", ports.FIRST + 199)  # of which all are tried
    given = free_ports("abcdefgh")
    assert len(set(given.values())) == len(given)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only one process knows what it was given")
def test_a_port_is_given_to_one_process_alone_while_it_lives() -> None:
    code = "import sys; from tests.ports import free_port; print(free_port(), flush=True); "
    other = subprocess.Popen(
        [sys.executable, "-c", code + "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    port = int(other.stdout.readline())
    assert not ports._reserve(port)
    other.communicate()
    assert ports._reserve(port)


def test_a_port_in_use_is_not_given() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        assert not ports._is_free(taken.getsockname()[1])
