"""`ragline status`: each service with its process and its dependencies."""

from __future__ import annotations

from services.cli import probe
from services.cli.console import Output
from services.cli.roster import ROSTER
from services.cli.stack import Stack


def show(stack: Stack, output: Output) -> bool:
    """Print the table; whether everything that was started is ready."""
    recorded, running = stack.recorded, stack.running
    if not recorded:
        output.line("not running: 'ragline up' starts it")
        return False
    rows = [["service", "pid", "address", "state"]]
    well = True
    for name in ROSTER:
        if name not in recorded and name not in stack.external:
            rows.append([name, "-", "-", "not started"])
            continue
        pid = str(running[name].pid) if name in running else "external" if name in stack.external else "-"
        if pid == "-":
            state, ready = f"ended by itself; its log is {stack.log(name)}", False
        else:
            state, ready = _state(name, stack.url(name))
        well = well and ready
        rows.append([name, pid, stack.url(name), state])
    output.table(rows)
    return well


def _state(name: str, url: str) -> tuple[str, bool]:
    state = probe.readiness(name, url)
    if state is None:
        return "no answer", False
    parts = [
        f"{dependency} {health.latency_ms:.1f} ms" if health.ready else f"{dependency}: {health.detail}"
        for dependency, health in state.dependencies.items()
    ]
    detail = f" ({', '.join(parts)})" if parts else ""
    return ("ready" if state.ready else "not ready") + detail, state.ready
