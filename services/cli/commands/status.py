"""Show each service and its dependencies.

The exit code is 1 where something is not ready.
"""

from __future__ import annotations

import typer

from services.cli.console import Output
from services.cli.gateway import local_stack
from services.cli.local import probe
from services.cli.local.addresses import ROSTER, describe_external
from services.cli.local.stack import SUPERVISOR, Stack
from services.core.wire.base import Readiness

PANEL = "Run"


def command() -> None:
    raise typer.Exit(0 if show_status(local_stack(), Output.standard()) else 1)


def show_status(stack: Stack, output: Output) -> bool:
    """Print the table; returns whether everything that was started is ready."""
    recorded, running = stack.recorded, stack.running
    if not recorded:
        output.line("not running: 'ragline up' starts it")
        _tell_external(stack, output)
        return False
    rows = [["service", "pid", "address", "state"]]
    all_ready, notices = True, list[str]()
    for name in ROSTER:
        if name not in recorded and name not in stack.external:
            rows.append([name, "-", "-", "not started"])
            continue
        pid = str(running[name].pid) if name in running else "external" if name in stack.external else "-"
        if pid == "-":
            state, ready = f"ended by itself; its log is {stack.log(name)}", False
        else:
            reported = probe.readiness(name, stack.url(name), stack.headers(name))
            state, ready = _describe_state(reported)
            notices += [f"{name}: {notice}" for notice in reported.notices] if reported else []
        all_ready = all_ready and ready
        rows.append([name, pid, stack.url(name), state])
    output.table(rows)
    _tell_supervisor(stack, output)
    for notice in notices:
        output.problem(notice)
    _tell_external(stack, output)
    return all_ready


def _tell_supervisor(stack: Stack, output: Output) -> None:
    """Say who starts services again that were started by `up --detach`, and that nobody does."""
    supervisors = stack.state_file.read().supervisors
    pids = [str(one.pid) for one in supervisors if one.alive]
    if pids:
        log = stack.log(SUPERVISOR)
        output.line(f"a service that dies is started again (pid {', '.join(pids)}; its log is {log})")
    elif supervisors:
        output.problem(
            "what started services again has ended: 'ragline down' and 'ragline up -d' bring it back"
        )


def _tell_external(stack: Stack, output: Output) -> None:
    if stack.external:
        output.line(describe_external(stack.external))


def _describe_state(state: Readiness | None) -> tuple[str, bool]:
    if state is None:
        return "no answer", False
    parts = [
        f"{dependency} {health.latency_ms:.1f} ms" if health.ready else f"{dependency}: {health.detail}"
        for dependency, health in state.dependencies.items()
    ]
    detail = f" ({', '.join(parts)})" if parts else ""
    return ("ready" if state.ready else "not ready") + detail, state.ready
