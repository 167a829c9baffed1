"""`ragline up` and `restart`: start, show what each service waits for, watch, stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from services.cli import models, probe
from services.cli.console import Output
from services.cli.errors import ServiceDied, UsageError
from services.cli.needs import needed
from services.cli.roster import ROSTER
from services.cli.stack import POLL_SECONDS, Stack

NAME_WIDTH = 11
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended before it had done its work."""


class Up:
    """One `ragline up`; `env` is the environment that the stack was made with."""

    def __init__(self, stack: Stack, env: Mapping[str, str], output: Output) -> None:
        self._stack = stack
        self._env = env
        self._output = output
        self._accident = False

    def run(self, only: Sequence[str], *, detach: bool, timeout: float) -> int:
        """The exit code: 1 where a service ended by itself. Raises what kept it from starting."""
        names = choose(self._stack, only)
        self._stack.check_ports(names)
        ready = False
        with _signals():
            try:
                models.fetch(needed(names, self._env), self._stack.home, self._output)
                self._start(names, complete=not only, timeout=timeout)
                ready = True
                if detach:
                    self._output.line("detached: 'ragline status' shows it, 'ragline down' stops it")
                    return 0
                self._output.line("Ctrl-C stops everything")
                self._watch(names)
            except KeyboardInterrupt:
                self._output.line("\nstopping (Ctrl-C again: at once)")
                self._stop(names)
            except BaseException:
                self._stop(names)
                raise
        return int(self._accident) if ready else INTERRUPTED

    def _start(self, names: Sequence[str], *, complete: bool, timeout: float) -> None:
        for name, url in self._stack.external.items():
            self._output.line(f"{name:<{NAME_WIDTH}} external at {url}")
        for name in names:
            pid = self._stack.start(name)
            self._output.line(f"{name:<{NAME_WIDTH}} starting at {self._stack.url(name)} (pid {pid})")
        # part of a stack may wait for the rest for ever: then only its own start is awaited
        wait(self._stack, names, self._output, timeout, complete=complete)
        if complete:
            self._output.line(f"\nRagline is ready: {self._stack.url('gateway')}", style="bold green")

    def _watch(self, names: Sequence[str]) -> None:
        """Tell of services that end by themselves; return when everything was stopped from elsewhere."""
        dead: set[str] = set()
        while True:
            recorded, running = self._stack.recorded, self._stack.running
            mine = [name for name in names if name in recorded]
            if not mine:
                self._output.line("stopped by 'ragline down'")
                return
            for name in mine:
                if name in running and name in dead:
                    dead.discard(name)
                    self._output.line(f"{name} runs again (pid {running[name].pid})")
                elif name not in running and name not in dead and not self._left(name):
                    dead.add(name)
                    self._accident = True
                    self._output.problem(
                        f"{name} {self._stack.end_of(name)}; the others keep running. Its log is "
                        f"{self._stack.log(name)}; 'ragline restart {name}' starts it again"
                    )
            time.sleep(POLL_SECONDS)

    def _left(self, name: str) -> bool:
        """Whether its end is somebody's `down` or `restart` rather than an accident."""
        record = self._stack.recorded.get(name)
        return record is None or record.leaving or record.alive

    def _stop(self, names: Sequence[str]) -> None:
        try:
            self._stack.stop_all(names)
        except KeyboardInterrupt:
            self._stack.stop_all(names, grace=0)
        self._output.line("stopped")


def choose(stack: Stack, only: Sequence[str]) -> list[str]:
    """The services to start. Raises `UsageError` for an unknown name or a stack that already runs."""
    check_names(only)
    running = stack.running
    names = list(dict.fromkeys(only)) or stack.local
    already = [f"{name} (pid {running[name].pid})" for name in names if name in running]
    if already:
        raise UsageError(
            f"already running: {', '.join(already)}. 'ragline down' stops it, 'ragline restart SERVICE' "
            "restarts one service, another RAGLINE_HOME makes a second stack"
        )
    if not running:
        stack.stop_all()  # forgets processes of an earlier run that are gone
    return names


def check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in ROSTER:
            raise UsageError(f"unknown service {name!r}: choose from {', '.join(ROSTER)}")


def restart(stack: Stack, name: str, env: Mapping[str, str], output: Output, timeout: float) -> None:
    """Fetch what the service needs now, restart it with the present environment, wait until it is ready."""
    check_names([name])
    if name not in stack.recorded:
        raise UsageError(f"{name} was not started here: 'ragline up' starts everything, or --only {name}")
    models.fetch(needed([name], env), stack.home, output)
    pid = stack.restart(name)
    output.line(f"{name:<{NAME_WIDTH}} restarting at {stack.url(name)} (pid {pid})")
    try:
        wait(stack, [name], output, timeout)
    except ServiceDied as error:
        output.problem("\n".join(error.log_tail))
        raise


def wait(
    stack: Stack, names: Sequence[str], output: Output, timeout: float, *, complete: bool = True
) -> None:
    """Wait until these are ready (not `complete`: until they answer), showing what each waits for."""
    probed, done = (probe.awaits_ready, "ready") if complete else (probe.awaits_answer, "up")
    start = time.monotonic()
    waiting: dict[str, str] = {}
    with output.spinner("starting") as spinner:

        def on_wait(name: str, reason: str) -> None:
            waiting[name] = reason
            if not reason:
                del waiting[name]
                took = time.monotonic() - start
                output.line(f"{name:<{NAME_WIDTH}} {done} after {took:.1f} s", style="green")
            elif not spinner.shown and reason != probe.STARTING and "is down" not in reason:
                output.line(f"{name:<{NAME_WIDTH}} waits for: {reason}")
            spinner.say("; ".join(f"{each}: {why}" for each, why in waiting.items()))

        stack.wait_ready(timeout, names, on_wait, probed=probed)


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and a closed terminal stop the stack as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
