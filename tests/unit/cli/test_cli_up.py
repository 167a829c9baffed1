"""`ragline up` in the foreground, with small stand-ins for the services: signals, deaths, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.cli.local.addresses import ROSTER
from services.cli.local.detached import stop_supervisors
from services.cli.local.stack import Stack
from tests.command_line import call_ragline
from tests.ports import free_ports
from tests.run_guard import bare_environment

# with a bare socket: six of them start in every test, and http.server alone takes longer to import
STAND_IN = """
import os, socket, sys
name = sys.argv[1]
if os.environ.get("DIES") == name:
    print("no such model file"); sys.exit(4)
if os.environ.get("HANGS") == name:
    import time; time.sleep(600)
body = '{"service": "%s", "ready": true, "dependencies": {"store": {"ready": true, "latency_ms": 0.2}}}' % name
head = "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
server = socket.create_server(("127.0.0.1", int(os.environ[name.upper() + "_PORT"])))
while True:
    client = server.accept()[0]
    with client:
        asked = b""
        while b"\\r\\n\\r\\n" not in asked and (part := client.recv(4096)):
            asked += part
        client.sendall((head % len(body) + body).encode())
"""

DRIVER = """
import os, sys
from services.cli import main
from services.cli.commands import up
from services.cli.local import stack
up.FIRST_SECONDS = float(os.environ.get("FIRST_SECONDS", "3600"))
stack.Stack.__init__.__kwdefaults__["command"] = lambda name: [sys.executable, "-S", {script!r}, name]
main.main()
"""


class Cli:
    """The command line with stand-in services on free ports."""

    def __init__(self, folder: Path) -> None:
        script = folder / "stand_in.py"
        script.write_text(STAND_IN)
        self.home = folder / "home"
        self._command = [sys.executable, "-c", DRIVER.format(script=str(script))]
        self.env = {
            **bare_environment(),
            "RAGLINE_HOME": str(self.home),
            "EMBEDDING_BACKEND": "fake",
            "LLM_ENGINE": "fake",
            **{ROSTER[name].port_variable: str(port) for name, port in free_ports(ROSTER).items()},
        }
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self._command, *arguments],
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        process = self.start(*arguments, **env)
        output, _ = process.communicate(timeout=40)
        return process.returncode, output

    def call(self, *arguments: str, **env: str) -> tuple[int, str]:
        """As `run`, for a command that starts no process."""
        done = call_ragline(*arguments, env=self.env | env)
        return done.returncode, done.stdout + done.stderr

    def pids(self) -> dict[str, int]:
        state = json.loads((self.home / "run" / "stack.json").read_text("utf-8"))
        return {name: record["pid"] for name, record in state["services"].items()}

    def supervisor(self) -> int:
        state = json.loads((self.home / "run" / "stack.json").read_text("utf-8"))
        [record] = state["supervisors"]
        return int(record["pid"])


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"never said {text!r}: {seen}")


def ended(pids: dict[str, int]) -> bool:
    """None of them runs; one that nobody has reaped yet has ended all the same."""
    for pid in pids.values():
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path)
    yield cli
    stack = Stack(cli.home, cli.env)
    stop_supervisors(stack.state_file)
    stack.stop_all(grace=1)
    for process in cli.started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_and_removes_the_state(cli: Cli, number: signal.Signals) -> None:
    up = cli.start("up")
    said = read_until(up, "Ctrl-C stops everything")
    assert said.count(" ready after ") == 6
    assert "Ragline is ready: http://127.0.0.1:" in said
    assert "\x1b" not in said
    pids = cli.pids()
    assert len(pids) == 6
    up.send_signal(number)
    output, _ = up.communicate(timeout=60)
    assert up.returncode == 0, output
    assert ended(pids)
    assert not (cli.home / "run" / "stack.json").exists()


def test_detached_status_and_down(cli: Cli) -> None:
    assert cli.run("up", "--detach")[0] == 0
    pids = cli.pids()
    code, output = cli.call("status")
    assert code == 0
    for name, pid in pids.items():
        assert any(line.split()[:2] == [name, str(pid)] for line in output.splitlines())
    assert output.count("ready (store 0.2 ms)") == 6
    code, output = cli.run("up")
    assert code == 1
    assert f"gateway (pid {pids['gateway']})" in output
    code, output = cli.run("restart", "generation")
    assert code == 0, output
    assert cli.pids()["generation"] != pids["generation"]
    pids = cli.pids()
    assert cli.call("down")[0] == 0
    assert ended(pids)
    assert cli.call("status") == (1, "not running: 'ragline up' starts it\n")
    assert cli.call("down") == (0, "nothing was running\n")


def test_a_detached_stack_starts_again_what_dies_and_leaves_nothing_behind(cli: Cli) -> None:
    code, output = cli.run("up", "-d", FIRST_SECONDS="0.1")
    assert code == 0, output
    assert "a service that dies is started again" in output
    log = cli.home / "run" / "logs" / "up.log"
    supervisor = cli.supervisor()
    assert f"(pid {supervisor};" in cli.call("status")[1]
    before = cli.pids()
    os.kill(before["generation"], signal.SIGKILL)
    wait_until(lambda: cli.pids()["generation"] != before["generation"])
    assert "generation was ended by SIGKILL" in log.read_text()
    assert cli.pids() == {**before, "generation": cli.pids()["generation"]}
    pids = cli.pids()
    assert cli.call("down")[0] == 0
    assert ended({**pids, "supervisor": supervisor})
    assert not (cli.home / "run" / "stack.json").exists()


def test_a_detached_stack_outlives_its_supervisor_and_says_so(cli: Cli) -> None:
    assert cli.run("up", "-d", "--only", "embedding")[0] == 0
    pids, supervisor = cli.pids(), cli.supervisor()
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: ended({"supervisor": supervisor}))
    assert "what started services again has ended" in cli.call("status")[1]
    assert cli.call("down")[0] == 0
    assert ended(pids)


def test_a_detached_start_that_fails_says_why_and_leaves_nothing(cli: Cli) -> None:
    code, output = cli.run("up", "-d", "--only", "retrieval", DIES="retrieval")
    assert code == 1
    assert "no such model file" in output
    assert "retrieval ended with exit code 4 while it was starting" in output
    assert not (cli.home / "run" / "stack.json").exists()


def test_stopping_a_detached_start_leaves_nothing(cli: Cli) -> None:
    up = cli.start("up", "-d", HANGS="generation")
    read_until(up, "generation  starting")
    pids = cli.pids()
    up.send_signal(signal.SIGINT)
    output, _ = up.communicate(timeout=60)
    assert up.returncode == 130, output
    assert ended(pids)
    assert not (cli.home / "run" / "stack.json").exists()


def test_a_later_death_is_told_and_the_others_keep_running(cli: Cli) -> None:
    up = cli.start("up")
    read_until(up, "Ctrl-C")
    pids = cli.pids()
    os.kill(pids["generation"], signal.SIGKILL)
    said = read_until(up, "generation was ended by SIGKILL")
    assert str(cli.home / "run" / "logs" / "generation.log") in said
    code, output = cli.call("status")
    assert code == 1
    assert "ended by itself" in output
    assert output.count("ready (store") == 5
    assert cli.run("restart", "generation")[0] == 0
    read_until(up, "generation runs again")
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    assert up.returncode == 1, "a death is remembered at the end"
    assert ended(pids)


def test_a_service_that_dies_is_started_again_later_each_time(cli: Cli) -> None:
    up = cli.start("up", FIRST_SECONDS="0.1")
    read_until(up, "Ctrl-C")
    pids = [cli.pids()["generation"]]
    for seconds in ("0.1", "0.2", "0.4"):
        os.kill(pids[-1], signal.SIGKILL)
        said = read_until(up, "generation is started again (pid")
        assert "generation was ended by SIGKILL; the others keep running." in said
        assert f"it is started again in {seconds} s" in said
        pids.append(cli.pids()["generation"])
        assert f"(pid {pids[-1]})" in said
    assert len(set(pids)) == 4
    assert cli.run("restart", "generation")[0] == 0
    os.kill(cli.pids()["generation"], signal.SIGKILL)
    said = read_until(up, "generation ended")
    assert "'ragline restart generation' starts it again" in said
    assert "started again in" not in said, "its environment is not this one's"
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    assert up.returncode == 1


def test_restart_and_down_from_elsewhere_are_no_deaths(cli: Cli) -> None:
    up = cli.start("up")
    read_until(up, "Ctrl-C")
    assert cli.run("restart", "reranking")[0] == 0
    assert cli.call("down")[0] == 0
    output, _ = up.communicate(timeout=60)
    assert "was ended" not in output
    assert "stopped by 'ragline down'" in output
    assert up.returncode == 0


def test_a_death_while_starting_shows_the_log_and_stops_everything(cli: Cli) -> None:
    code, output = cli.run("up", DIES="retrieval")
    assert code == 1
    assert "no such model file" in output
    assert "retrieval ended with exit code 4 while it was starting" in output
    assert not (cli.home / "run" / "stack.json").exists()


def test_a_taken_port_stops_it_before_anything_starts(cli: Cli) -> None:
    holder = cli.start("up", "--only", "gateway")
    read_until(holder, "Ctrl-C")
    code, output = cli.run("up", RAGLINE_HOME=str(cli.home) + "-2")
    assert code == 1
    assert f"port {cli.env['GATEWAY_PORT']} (gateway) is in use by " in output
    assert "set GATEWAY_PORT or stop it" in output
    assert "starting" not in output


def test_stopping_while_starting_leaves_nothing_behind(cli: Cli) -> None:
    up = cli.start("up")
    read_until(up, "gateway")
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=60)
    assert up.returncode == 130
    time.sleep(0.2)
    assert not (cli.home / "run" / "stack.json").exists()


def test_a_part_of_a_stack_stops_only_itself(cli: Cli) -> None:
    first = cli.start("up", "--only", "embedding")
    read_until(first, "Ctrl-C")
    second = cli.start("up", "--only", "retrieval", "--only", "reranking")
    read_until(second, "Ctrl-C")
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert set(cli.pids()) == {"embedding"}
    assert first.poll() is None


def test_unknown_names_are_refused(cli: Cli) -> None:
    for arguments in (("up", "--only", "nothing"), ("restart", "nothing"), ("models", "fetch", "nothing")):
        code, output = cli.call(*arguments)
        assert code == 1
        assert "choose" in output
        assert "Traceback" not in output


def test_services_that_urls_name_are_not_started_and_that_is_said(cli: Cli) -> None:
    elsewhere = cli.start("up", "--only", "embedding", RAGLINE_HOME=str(cli.home) + "-2")
    read_until(elsewhere, "Ctrl-C")
    port = free_ports(["embedding"])["embedding"]
    urls = {
        "EMBEDDING_URL": f"http://127.0.0.1:{cli.env['EMBEDDING_PORT']}",
        "EMBEDDING_PORT": str(port),
        "RERANKING_URL": "http://127.0.0.1:9",
        "RETRIEVAL_URL": f"http://127.0.0.1:{cli.env['RETRIEVAL_PORT']}/",
    }
    code, output = cli.run("up", "--detach", **urls)
    assert code == 0, output
    assert f"embedding   external at {urls['EMBEDDING_URL']} (EMBEDDING_URL)\n" in output
    assert "reranking   external at http://127.0.0.1:9 (RERANKING_URL); nothing answers there now\n" in output
    assert "because EMBEDDING_URL and RERANKING_URL name another address: embedding, reranking." in output
    assert set(cli.pids()) == {"retrieval", "generation", "dataprep", "gateway"}
    _, output = cli.call("status")
    assert "because EMBEDDING_URL and RERANKING_URL name another address" in output, (
        "without the variables too"
    )
    assert cli.call("down")[0] == 0
    _, output = cli.call("status", **urls)
    assert "because EMBEDDING_URL and RERANKING_URL name another address" in output
    assert cli.call("down", RAGLINE_HOME=str(cli.home) + "-2")[0] == 0
    elsewhere.communicate(timeout=60)
