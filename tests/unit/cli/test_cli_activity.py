"""Waiting as long as services work: a busy process is waited for, an idle or a dead one is not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.errors import NotReady, ServiceDied
from services.cli.local import activity
from services.cli.local.activity import ActivityWatch, Work

BUSY = "while True: pass"
IDLE = "import time; print(flush=True); time.sleep(60)"


class OneProcess:
    """Stands in for a stack with one service."""

    def __init__(self, code: str, folder: Path) -> None:
        self.run = folder
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)

    def pid(self, name: str) -> int:
        return self.process.pid

    def check_alive(self, name: str, when: str) -> None:
        if self.process.poll() is not None:
            raise ServiceDied(f"{name} ended {when}", service=name, log_tail=[])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(activity, "TELL_SECONDS", 0.3)
    monkeypatch.setattr(activity, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(activity, "LEAST_SHARE", 0.01)


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OneProcess]:
    one = OneProcess(request.param, tmp_path)
    if request.param == IDLE:
        one.process.stdout.readline()  # it has started, which was work
    yield one
    one.process.kill()
    one.process.wait()
    one.process.stdout.close()


def watch(stack: OneProcess, told: list[str]) -> ActivityWatch:
    return ActivityWatch(stack, ["generation"], told.append)


@pytest.mark.parametrize("stack", [BUSY], indirect=True)
async def test_a_process_that_works_is_waited_for_and_it_is_said(stack: OneProcess) -> None:
    told: list[str] = []

    async def work() -> None:
        while len(told) < 3:  # noqa: ASYNC110 - what is waited for is said by the watch
            await asyncio.sleep(0.05)

    await watch(stack, told).keep(work(), "the answer")
    assert "for the answer (" in told[0]
    assert "of processor time so far)" in told[0]


@pytest.mark.parametrize("stack", [IDLE], indirect=True)
async def test_where_nothing_moves_the_waiting_ends(stack: OneProcess) -> None:
    begun = time.monotonic()
    with pytest.raises(NotReady, match="nothing has moved for 1 s: still waiting for the answer"):
        await watch(stack, []).keep(asyncio.sleep(30), "the answer")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("stack", [IDLE], indirect=True)
def test_another_reason_is_movement(stack: OneProcess) -> None:
    told: list[str] = []
    waiting = watch(stack, told)
    for percent in range(0, 100, 5):
        waiting.look(f"model small: converting, {percent} %")
        time.sleep(0.1)
    assert "for model small: converting, " in told[-1]


@pytest.mark.parametrize("stack", [IDLE], indirect=True)
async def test_a_death_ends_the_waiting_and_the_work(stack: OneProcess) -> None:
    cut = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cut.set()

    stack.process.kill()
    stack.process.wait()
    with pytest.raises(ServiceDied, match="generation ended while it was waited for"):
        await watch(stack, []).keep(work(), "the answer")
    assert cut.is_set()


async def test_a_failure_of_the_work_is_that_of_the_waiting(tmp_path: Path) -> None:
    async def work() -> None:
        raise ValueError("wrong")

    stack = OneProcess("", tmp_path)
    stack.process.wait()
    stack.process.stdout.close()
    with pytest.raises(ValueError, match="wrong"):
        await watch(stack, []).keep(work(), "the answer")


def test_processes_that_are_gone_have_done_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert Work.of([ended.pid]) == Work()
