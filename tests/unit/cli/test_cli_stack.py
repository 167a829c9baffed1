"""The supervisor with small stand-in services: real processes, real ports, real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.errors import NotReady, PortInUse, ServiceDied, UsageError
from services.cli.local import process
from services.cli.local.addresses import ROSTER, describe_external
from services.cli.local.process import ServiceRecord, StateFile
from services.cli.local.stack import Stack
from tests.own_time import OwnTime
from tests.ports import free_ports
from tests.run_guard import bare_environment

STAND_IN = """
import http.server, json, os, signal, sys
name, behaviour = sys.argv[1], sys.argv[2]
if behaviour == "dies":
    print("cannot load the model: file is broken"); sys.exit(3)
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        global asked
        asked += 1
        ready = behaviour != "slow" or asked > 3
        checks = {"model": {"ready": ready, "latency_ms": 0.1, "detail": "" if ready else "converting model (once)"}}
        body = json.dumps({"service": name, "ready": ready, "dependencies": checks}).encode()
        if self.path == "/env":
            body = json.dumps(dict(os.environ)).encode()
        self.send_response(200 if ready else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: (print("finished its streams", flush=True), os._exit(0)))
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ[name.upper() + "_PORT"])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


class Behaviour:
    """The command of each stand-in; `of` changes one service's behaviour."""

    def __init__(self, folder: Path) -> None:
        self._script = folder / "stand_in.py"
        self._script.write_text(STAND_IN)
        self.of: dict[str, str] = {}

    def __call__(self, name: str) -> list[str]:
        return [sys.executable, str(self._script), name, self.of.get(name, "well")]


@pytest.fixture
def behaviour(tmp_path: Path) -> Behaviour:
    return Behaviour(tmp_path)


@pytest.fixture
def stack(tmp_path: Path, behaviour: Behaviour) -> Iterator[Stack]:
    environment = bare_environment()
    with Stack(tmp_path / "home", environment, free_ports(ROSTER), command=behaviour) as stack:
        yield stack
        behaviour.of.clear()


def test_six_processes_start_and_stop(stack: Stack) -> None:
    for name in stack.local:
        stack.start(name)
    stack.wait_ready(60)
    pids = {name: stack.pid(name) for name in ROSTER}
    assert len(set(pids.values())) == 6
    stack.stop_all()
    assert stack.running == {}
    assert stack.recorded == {}
    assert not (stack.home / "run" / "stack.json").exists()
    for name in ROSTER:
        assert "finished its streams" in stack.log(name).read_text(), "SIGTERM, so that streams finish"


def test_each_service_is_told_its_port_and_where_the_others_are(stack: Stack) -> None:
    import http.client  # noqa: PLC0415
    import json  # noqa: PLC0415

    stack.start("retrieval", {"EXTRA": "1"})
    stack.wait_ready(60)
    host = stack.url("retrieval").removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("GET", "/env")
    environment = json.loads(connection.getresponse().read())
    connection.close()
    assert environment["EMBEDDING_URL"] == stack.url("embedding")
    assert environment["DATAPREP_URL"] == stack.url("dataprep")
    assert environment["RETRIEVAL_PORT"] == host.split(":")[1]
    assert environment["RAGLINE_HOME"] == str(stack.home)
    assert environment["EXTRA"] == "1"


def test_an_url_of_the_user_makes_a_service_external(tmp_path: Path, behaviour: Behaviour) -> None:
    stack = Stack(tmp_path, {"EMBEDDING_URL": "http://tei:80/"}, command=behaviour)
    assert stack.url("embedding") == "http://tei:80"
    assert "embedding" not in stack.local
    with pytest.raises(UsageError, match="unset EMBEDDING_URL"):
        stack.start("embedding")


@pytest.mark.parametrize(
    "env",
    [
        {"EMBEDDING_URL": "http://127.0.0.1:6000"},
        {"EMBEDDING_URL": "http://localhost:6000/"},
        {"EMBEDDING_URL": "http://[::1]:6000"},
        {"EMBEDDING_URL": "http://127.0.1.1:6100", "EMBEDDING_PORT": "6100"},
        {"EMBEDDING_URL": "http://10.1.2.3:6000", "HOST": "10.1.2.3"},
    ],
)
def test_the_own_address_of_a_service_makes_it_no_external_one(tmp_path: Path, env: dict[str, str]) -> None:
    stack = Stack(tmp_path, env)
    assert not stack.external
    assert "embedding" in stack.local


@pytest.mark.parametrize(
    "env",
    [
        {"EMBEDDING_URL": "http://127.0.0.1:6001"},
        {"EMBEDDING_URL": "http://127.0.0.1:6000", "EMBEDDING_PORT": "6001"},
        {"EMBEDDING_URL": "https://127.0.0.1:6000"},
        {"EMBEDDING_URL": "http://127.0.0.1:6000/tei"},
        {"EMBEDDING_URL": "http://10.1.2.3:6000"},
        {"EMBEDDING_URL": "http://127.0.0.1"},
        {"EMBEDDING_URL": "http://127.0.0.1:none"},
        {"EMBEDDING_URL": "http://127.0.0.1:6000/", "RERANKING_URL": "http://127.0.0.1:6000"},
    ],
)
def test_any_other_address_does(tmp_path: Path, env: dict[str, str]) -> None:
    assert len(Stack(tmp_path, env).external) == 1


def test_what_runs_elsewhere_is_named_with_the_variables_that_say_so() -> None:
    said = describe_external({"retrieval": "http://a", "embedding": "http://b", "reranking": "http://c"})
    assert said == (
        "not started here, because EMBEDDING_URL, RETRIEVAL_URL and RERANKING_URL name another address: "
        "embedding, retrieval, reranking. Unset them to run them here"
    )
    assert "EMBEDDING_URL names" in describe_external({"embedding": "http://b"})
    assert not describe_external({})


def test_a_taken_port_that_the_url_names_can_be_used_as_it_is(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {"EMBEDDING_PORT": str(port), "EMBEDDING_URL": f"http://127.0.0.1:{port}"}
        with pytest.raises(PortInUse) as caught:
            Stack(tmp_path, env).check_ports(["embedding"])
    assert "set EMBEDDING_PORT to another port and keep EMBEDDING_URL" in caught.value.message


def test_what_a_service_waits_for_is_reported_once_per_change(stack: Stack, behaviour: Behaviour) -> None:
    behaviour.of["generation"] = "slow"
    stack.start("generation")
    seen: list[tuple[str, str]] = []
    stack.wait_ready(20, on_wait=lambda name, reason: seen.append((name, reason)))
    assert seen[-2:] == [("generation", "converting model (once)"), ("generation", "")]
    assert len(seen) == len(set(seen))


def test_not_ready_in_time_says_what_is_missing(stack: Stack, behaviour: Behaviour) -> None:
    behaviour.of["generation"] = "slow"
    stack.start("generation")
    with pytest.raises(NotReady, match=r"generation waits for: (starting|converting model)"):
        stack.wait_ready(0.4)


def test_a_service_that_dies_while_starting_shows_its_log(stack: Stack, behaviour: Behaviour) -> None:
    behaviour.of["retrieval"] = "dies"
    stack.start("embedding")
    stack.start("retrieval")
    with pytest.raises(ServiceDied, match="retrieval ended with exit code 3") as caught:
        stack.wait_ready(60)
    assert caught.value.log_tail == ["cannot load the model: file is broken"]
    assert str(stack.log("retrieval")) in caught.value.message


def test_a_taken_port_is_named_with_its_owner_and_variable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = Stack(tmp_path, {}, {"gateway": port})
        with pytest.raises(PortInUse) as caught:
            stack.check_ports(["gateway"])
    assert f"port {port} (gateway) is in use by " in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "set GATEWAY_PORT or stop it" in caught.value.message


def test_a_stubborn_service_is_killed_after_the_grace(stack: Stack, behaviour: Behaviour) -> None:
    behaviour.of["dataprep"] = "stubborn"
    pid = stack.start("dataprep")
    stack.wait_ready(60)
    clock = OwnTime()
    stack.stop("dataprep", grace=0.5)
    assert clock.seconds() < 4
    assert stack.end_of("dataprep") == "was ended by SIGKILL"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_another_object_finds_stops_and_restarts_the_same_processes(
    stack: Stack, behaviour: Behaviour
) -> None:
    for name in ("generation", "gateway"):
        stack.start(name)
    stack.wait_ready(60)
    before = stack.pid("generation")
    other = Stack(stack.home, bare_environment(), command=behaviour)
    assert other.url("generation") == stack.url("generation"), "the port is remembered"
    other.restart("generation", {"LLM_BACKEND": "large"})
    other.wait_ready(20, ["generation"])
    assert other.pid("generation") not in {before, None}
    assert stack.pid("generation") == other.pid("generation")
    assert (stack.home / "run" / "logs" / "generation.log.1").exists(), "the earlier log is kept"
    other.stop_all()
    assert stack.running == {}


def test_a_foreign_process_with_a_reused_pid_is_never_touched(tmp_path: Path) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with StateFile(tmp_path / "run" / "stack.json").change() as state:
            started = process.started_at(foreign.pid) - 3600
            state.services["gateway"] = ServiceRecord(pid=foreign.pid, started=started, port=8888)
        stack = Stack(tmp_path, {})
        assert stack.running == {}
        stack.stop_all()
        assert stack.recorded == {}
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_kill_9_is_named_and_restart_brings_it_back(stack: Stack) -> None:
    pid = stack.start("generation")
    stack.wait_ready(60)
    os.kill(pid, signal.SIGKILL)
    assert process.wait_gone(pid, stack.recorded["generation"].started, 5)
    assert stack.pid("generation") is None
    assert stack.end_of("generation") == "was ended by SIGKILL"
    assert "generation" in stack.recorded
    stack.restart("generation")
    stack.wait_ready(60)


@pytest.mark.parametrize("value", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="GATEWAY_PORT"):
        Stack(tmp_path, {"GATEWAY_PORT": value})


def test_starting_twice_is_refused(stack: Stack) -> None:
    stack.start("reranking")
    with pytest.raises(UsageError, match="already running"):
        stack.start("reranking")
