"""Start the services; Ctrl-C stops them.

Each of the six services is a process of its own, and is started again where it ends by itself. With --detach
this returns when they are ready, and leaves a process that does so; 'ragline down' ends it. Models that are
not here are fetched first. EMBEDDING_PORT, RETRIEVAL_PORT and so on are the ports. A service whose URL is set
(EMBEDDING_URL, ...) to another address is not started: it runs elsewhere. Logs are in RAGLINE_HOME/run/logs.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import local_stack
from services.cli.local import probe
from services.cli.local.activity import ActivityWatch
from services.cli.local.addresses import ROSTER, check_names, describe_external
from services.cli.local.detached import Handover, note_supervisor
from services.cli.local.models import fetch_needed
from services.cli.local.process import Interrupts
from services.cli.local.stack import POLL_SECONDS, SUPERVISOR, Stack
from services.core.settings import copy_environment

PANEL = "Run"
NAME_WIDTH = 11
FIRST_SECONDS = 1.0
"""Before a service that ended by itself is started again; twice as long each time, up to the longest."""
LONGEST_SECONDS = 60.0
STEADY_SECONDS = 120.0
"""A service that ran for so long is as good as new."""
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended before it had done its work."""


def command(
    only: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE", help="Start this service only; repeatable.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready; keep running.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until everything is ready.", min=1)] = 600,
) -> None:
    up = Up(local_stack(makes_token=True), copy_environment(), Output.standard())
    raise typer.Exit(up.run(only or [], detach=detach, timeout=timeout))


class Up:
    """One `ragline up`; `env` is the environment that the stack was made with."""

    def __init__(self, stack: Stack, env: Mapping[str, str], output: Output) -> None:
        self._stack = stack
        self._env = env
        self._output = output
        self._accident = False

    def run(self, only: Sequence[str], *, detach: bool, timeout: float) -> int:
        """The exit code: 1 where a service ended by itself. Raises what kept it from starting."""
        names = choose_services(self._stack, only)
        self._stack.check_ports(names)
        self._tell_external(complete=not only)
        ready = False
        with stop_signals(self._stack.interrupts):
            try:
                fetch_needed(names, self._env, self._stack.home, self._output)
                handover = Handover(self._stack.log(SUPERVISOR)) if detach else None
                code = handover.divide() if handover else None
                if code is not None:
                    return self._end_command(code)
                self._output = Output.standard()
                self._start(names, complete=not only, timeout=timeout)
                ready = True
                if handover:
                    note_supervisor(self._stack.state_file)
                    handover.tell_ready()
                else:
                    self._output.line("Ctrl-C stops everything")
                self._watch(names)
            except KeyboardInterrupt:
                self._output.line("\nstopping (Ctrl-C again: at once)")
                self._stop(names)
            except BaseException:
                self._stop(names)
                raise
        return int(self._accident) if ready else INTERRUPTED

    def _end_command(self, code: int) -> int:
        """Say what is left behind, if anything is. Returns the exit code."""
        if code == 0:
            self._output.line(
                "detached: 'ragline status' shows it, 'ragline down' stops it; a service that dies "
                f"is started again, which {self._stack.log(SUPERVISOR)} tells"
            )
        return code

    def _start(self, names: Sequence[str], *, complete: bool, timeout: float) -> None:
        for name in names:
            pid = self._stack.start(name)
            self._output.line(f"{name:<{NAME_WIDTH}} starting at {self._stack.url(name)} (pid {pid})")
        # part of a stack may wait for the rest for ever: then only its own start is awaited
        wait_for_services(self._stack, names, self._output, timeout, complete=complete)
        if complete:
            self._output.line(f"\nRagline is ready: {self._stack.url('gateway')}", style="bold green")

    def _tell_external(self, *, complete: bool) -> None:
        """Say which services run elsewhere, which of them do not answer, and what is not started."""
        external = self._stack.external
        for name, url in external.items():
            answers = probe.readiness(name, url, self._stack.headers(name)) is not None
            now = "" if answers else "; nothing answers there now"
            self._output.line(f"{name:<{NAME_WIDTH}} external at {url} ({ROSTER[name].url_variable}){now}")
        if external and complete:
            self._output.problem(describe_external(external))

    def _watch(self, names: Sequence[str]) -> None:
        """Start services again that end by themselves; return when everything was stopped from elsewhere."""
        falls = {name: Fall() for name in names}
        while True:
            recorded, running = self._stack.recorded, self._stack.running
            mine = [name for name in names if name in recorded]
            if not mine:
                self._output.line("stopped by 'ragline down'")
                return
            for name in mine:
                fall = falls[name]
                if name in running:
                    if fall.is_down:
                        self._output.line(f"{name} runs again (pid {running[name].pid})")
                    fall.note_running()
                elif not fall.is_down and not self._left(name):
                    self._accident = True
                    self._tell_fall(name, fall)
                elif fall.is_due:
                    fall.note_start()
                    self._output.line(f"{name} is started again (pid {self._stack.start(name)})")
            time.sleep(POLL_SECONDS)

    def _tell_fall(self, name: str, fall: Fall) -> None:
        """Say that a service ended by itself, and whether it is started again: not with another environment
        than the one that `ragline restart` gave it."""
        log = self._stack.log(name)
        told = f"{name} {self._stack.end_of(name)}; the others keep running. Its log is {log}; "
        by_hand = f"'ragline restart {name}' starts it again"
        if self._stack.is_child(name):
            seconds = fall.note_end()
            told += (
                f"it is started again in {seconds:g} s (the log is then {log.name}.1), or at once: {by_hand}"
            )
        else:
            fall.note_end(for_good=True)
            told += by_hand
        self._output.problem(told)

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


class Fall:
    """A service's ends by itself: when it is started again, later each time until it has run for a while."""

    def __init__(self) -> None:
        self._times = 0
        self._ended = False
        self._due = self._started = 0.0

    @property
    def is_down(self) -> bool:
        """Whether its end is known, and it has not been seen running since."""
        return self._ended

    @property
    def is_due(self) -> bool:
        """Whether it is to be started now."""
        return self._ended and time.monotonic() >= self._due

    def note_end(self, *, for_good: bool = False) -> float:
        """Note an end. Returns in how many seconds it is to be started; never, where it is `for_good`."""
        if time.monotonic() - self._started >= STEADY_SECONDS:
            self._times = 0
        seconds = math.inf if for_good else min(LONGEST_SECONDS, FIRST_SECONDS * 2**self._times)
        self._times += 1
        self._ended, self._due = True, time.monotonic() + seconds
        return seconds

    def note_start(self) -> None:
        """Note that it is started now."""
        self._ended, self._started = False, time.monotonic()

    def note_running(self) -> None:
        """Note that it runs."""
        if self._ended:
            self.note_start()


def choose_services(stack: Stack, only: Sequence[str]) -> list[str]:
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


def wait_for_services(
    stack: Stack, names: Sequence[str], output: Output, timeout: float | None, *, complete: bool = True
) -> None:
    """Wait until services are ready, and show what each waits for.

    Args:
        stack: Where they run.
        names: The services.
        output: Where it is shown.
        timeout: Seconds until it gives up; None: it waits as long as anything moves.
        complete: Whether to wait until they are ready, and not only until they answer.

    Raises:
        ServiceDied: A process ended.
        NotReady: The time is up, or nothing has moved for a long time.
    """
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
            spinner.say("; ".join(f"{name}: {reason}" for name, reason in waiting.items()))

        if timeout is None:
            watch = ActivityWatch(stack, names, output.line)
            stack.wait_ready(math.inf, names, on_wait, probed=probed, on_poll=watch.look)
        else:
            stack.wait_ready(timeout, names, on_wait, probed=probed)


@contextmanager
def stop_signals(interrupts: Interrupts) -> Iterator[None]:
    """SIGTERM and a closed terminal stop the stack as Ctrl-C does."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupts.interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
