"""The supervisor: Ragline's services as separate processes on this machine.

Used by the command line, the demo and the integration tests. Blocking; not for an event loop.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from services.cli.errors import NotReady, PortInUse, ServiceDied, UsageError
from services.cli.local import probe, process
from services.cli.local.addresses import ROSTER, Addresses
from services.cli.local.process import ServiceRecord, StateFile

GRACE_SECONDS = 35.0
"""Longer than the services' default `SHUTDOWN_SECONDS`, in which they finish their streams."""

POLL_SECONDS = 0.2
CALM_POLL_SECONDS = 1.0
"""Where it is watched whether the services work: seldom, so that being asked is no work to speak of."""
REAP_SECONDS = 5.0
KILLED_SECONDS = 60.0
"""How long a killed process may take to give back its memory and its port."""

TAIL_LINES = 15
SUPERVISOR = "up"
"""The name of the log of what `up --detach` leaves behind."""

OnWait = Callable[[str, str], None]
"""Told a service's name and what it waits for, at each change; an empty text means: ready."""


def module_command(name: str) -> list[str]:
    # -P: a folder named `services` in the working directory must not be taken for ours
    return [sys.executable, "-P", "-m", f"services.{name}"]


class Stack:
    """Starts, stops and watches services. As a context manager it stops them all at the end.

    `home` is RAGLINE_HOME, `env` the services' environment, `ports` overrides their ports, `token` is
    their `SERVICE_TOKEN` where `env` has none. A service
    whose `<NAME>_URL` is in `env` is external: known, but not started here. Logs and the state file are in
    `run` (else `home`/run); another `Stack` on the same `run` finds the same processes.
    """

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str],
        ports: Mapping[str, int] | None = None,
        *,
        run: Path | None = None,
        token: str = "",
        command: Callable[[str], Sequence[str]] = module_command,
    ) -> None:
        self.home = home
        self.run = run or home / "run"
        self._env = dict(env)
        self._command = command
        self.interrupts = process.Interrupts()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._state = StateFile(self.run / "stack.json")
        state = self._state.read()
        live = state.services if state.alive else {}
        self._addresses = Addresses(
            env,
            ports or {},
            recorded={name: record.port for name, record in live.items()},
            recorded_external=state.external if live else {},
            token=token,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    @property
    def state_file(self) -> StateFile:
        """What remembers the processes."""
        return self._state

    @property
    def external(self) -> Mapping[str, str]:
        """The URLs of the services that somebody else runs."""
        return self._addresses.external

    @property
    def local(self) -> list[str]:
        """The services that are started here, in the order of the roster."""
        return [name for name in ROSTER if name not in self.external]

    @property
    def recorded(self) -> dict[str, ServiceRecord]:
        """The services that were started and not stopped, dead or alive, whoever started them."""
        return self._state.read().services

    @property
    def running(self) -> dict[str, ServiceRecord]:
        """The recorded services whose processes are alive."""
        for child in self._children.values():
            child.poll()  # reaps, so that an ended child is no zombie
        return {name: record for name, record in self.recorded.items() if record.alive}

    def url(self, name: str) -> str:
        return self._addresses.url(name)

    def headers(self, name: str) -> dict[str, str]:
        """See `Addresses.headers`."""
        return self._addresses.headers(name)

    def pid(self, name: str) -> int | None:
        """The pid of a service that runs; None elsewhere."""
        record = self.running.get(name)
        return record.pid if record else None

    def is_child(self, name: str) -> bool:
        """Whether the process that is recorded is one that this object started."""
        child, record = self._children.get(name), self.recorded.get(name)
        return child is not None and record is not None and child.pid == record.pid

    def log(self, name: str) -> Path:
        return self.run / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of a service's log."""
        try:
            return self.log(name).read_text("utf-8", "replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []

    def end_of(self, name: str) -> str:
        """How a process that has ended did so, in words."""
        child, record = self._children.get(name), self.recorded.get(name)
        # one that was stopped is recorded no more; one that is recorded with another pid is somebody else's
        code = child.poll() if child and (record is None or record.pid == child.pid) else None
        if code is None:
            return "ended"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def check_ports(self, names: Iterable[str]) -> None:
        """Raise `PortInUse` that names every taken port, its owner and the variable to change."""
        taken = []
        for name in names:
            port = self._addresses.port(name)
            if not probe.is_port_free(self._addresses.host, port):
                spec = ROSTER[name]
                use_it = (
                    f"; to use what listens there as the {name} service, set {spec.port_variable} to another "
                    f"port and keep {spec.url_variable}"
                )
                taken.append(
                    f"port {port} ({name}) is in use by {probe.port_owner(port)}: set {spec.port_variable} "
                    f"or stop it{use_it if name in self._addresses.named else ''}"
                )
        if taken:
            raise PortInUse("\n".join(taken))

    def start(self, name: str, env: Mapping[str, str] | None = None) -> int:
        """Start one service with the stack's environment plus `env`; its pid. Does not wait for readiness."""
        if name in self.external:
            variable = ROSTER[name].url_variable
            raise UsageError(f"{name} is external ({variable}={self.url(name)}): unset {variable} first")
        running = self.running.get(name)
        if running:
            raise UsageError(f"{name} is already running (pid {running.pid}): use 'ragline restart {name}'")
        self._reap([name])  # one that was killed, and is only a zombie by now
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with self.interrupts.hold():
            with log.open("wb") as output:
                child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    self._command(name),
                    env={
                        **self._env,
                        "RAGLINE_HOME": str(self.home),
                        "PYTHONUNBUFFERED": "1",
                        **self._addresses.environment(name),
                        **(env or {}),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops them in order
                )
            self._children[name] = child
            with self._state.change() as state:
                state.services[name] = ServiceRecord(
                    pid=child.pid, started=process.started_at(child.pid), port=self._addresses.port(name)
                )
                state.external = dict(self.external)
        return child.pid

    def stop(self, name: str, *, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; returns when it has ended. Fine if it does not run."""
        self._end([name], grace)
        self._forget([name])

    def stop_all(self, names: Iterable[str] | None = None, *, grace: float = GRACE_SECONDS) -> None:
        """Stop the named (else: all) recorded services: the gateway first, so that its streams finish."""
        chosen = [name for name in self.recorded if names is None or name in names]
        self._end([name for name in chosen if name == "gateway"], grace)
        self._end([name for name in chosen if name != "gateway"], grace)
        self._forget(chosen)

    def restart(self, name: str, env: Mapping[str, str] | None = None) -> int:
        """Stop one service and start it at the same port, with this object's environment plus `env`."""
        record = self.recorded.get(name)
        if record:
            self._addresses.move(name, record.port)
            self._end([name], GRACE_SECONDS)
        return self.start(name, env)

    def wait_ready(
        self,
        timeout: float,
        names: Iterable[str] | None = None,
        on_wait: OnWait | None = None,
        *,
        probed: probe.Probe = probe.awaits_ready,
        on_poll: Callable[[str], None] | None = None,
    ) -> None:
        """Return when every named (else: recorded) service is ready.

        Args:
            timeout: Seconds until it gives up; infinite where `on_poll` decides that.
            names: The services to wait for.
            on_wait: Hears a service's name and what it waits for, at each change.
            probed: Asks one service what it waits for, by its name, its URL and its headers.
            on_poll: Hears at each round what all of them wait for; what it raises ends the wait.

        Raises:
            ServiceDied: A process ended; it has the last lines of its log.
            NotReady: The time is up.
        """
        end = time.monotonic() + timeout
        waiting: dict[str, str | None] = dict.fromkeys(names if names is not None else self.recorded)
        while waiting:
            for name, before in list(waiting.items()):
                self.check_alive(name)
                now = probed(name, self.url(name), self.headers(name))
                if on_wait and now != before:
                    on_wait(name, now)
                waiting[name] = now
                if not now:
                    del waiting[name]
            what = "; ".join(f"{name} waits for: {reason}" for name, reason in waiting.items())
            if waiting and time.monotonic() >= end:
                raise NotReady(f"not ready after {timeout:.0f} s. {what}. Logs: {self.run / 'logs'}")
            if waiting:
                if on_poll:
                    on_poll(what)
                time.sleep(POLL_SECONDS if on_poll is None else CALM_POLL_SECONDS)

    def check_alive(self, name: str, when: str = "while it was starting") -> None:
        """Raise `ServiceDied` where a service of this machine has ended."""
        if name not in self.external and name not in self.running:
            message = f"{name} {self.end_of(name)} {when}; its log is {self.log(name)}"
            raise ServiceDied(message, service=name, log_tail=self.log_tail(name))

    def _end(self, names: Iterable[str], grace: float) -> None:
        with self._state.change() as state:
            leaving = {name: state.services[name] for name in names if name in state.services}
            for name, record in leaving.items():
                state.services[name] = record.model_copy(update={"leaving": True})
        for record in leaving.values():
            process.terminate(record.pid, record.started)
        end = time.monotonic() + grace
        for record in leaving.values():
            if not process.wait_gone(record.pid, record.started, max(0.0, end - time.monotonic())):
                process.kill(record.pid, record.started)
                process.wait_gone(record.pid, record.started, KILLED_SECONDS)
        self._reap(leaving)

    def _reap(self, names: Iterable[str]) -> None:
        """Collect the exit codes of children that have ended; ends in a moment."""
        for name in names:
            child = self._children.get(name)
            if child is not None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(REAP_SECONDS)

    def _forget(self, names: Iterable[str]) -> None:
        with self._state.change() as state:
            for name in names:
                record = state.services.get(name)
                if record is not None and not record.alive:
                    del state.services[name]
