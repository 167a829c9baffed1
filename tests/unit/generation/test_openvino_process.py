"""The engine's process: its death, its restart, and what reaches the requests in it. A stand-in computes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.core.errors import InvalidRequest, RaglineError, ServiceError, ServiceUnavailable
from services.generation.backend import Prompt
from services.generation.backends.openvino import engine as module
from services.generation.backends.openvino import process
from services.generation.backends.openvino.engine import OpenVinoEngine, restart_pause
from services.generation.backends.openvino.protocol import (
    HEADER,
    Cancel,
    Failure,
    Opening,
    Start,
    decode_body,
    encode_frame,
)
from services.generation.entries import ModelEntry
from services.generation.settings import EmbeddedSettings

STAND_IN = "tests.unit.generation.openvino_stand_in"

MakeEngine = Callable[[str], OpenVinoEngine]


def ask(text: str, tokens: int = 5) -> Prompt:
    return Prompt((("user", text),), max_tokens=tokens, temperature=0.0, top_p=1.0)


LONG = ask("count", 100_000)


@pytest.fixture
async def make_engine(tmp_path: Path) -> AsyncIterator[MakeEngine]:
    made: list[OpenVinoEngine] = []

    def make(name: str) -> OpenVinoEngine:
        entry = ModelEntry(name=name, engine="openvino", model_path=str(tmp_path))
        made.append(OpenVinoEngine(entry, EmbeddedSettings(), STAND_IN))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


async def text(engine: OpenVinoEngine, prompt: Prompt) -> str:
    return "".join([delta.content async for delta in engine.generate(prompt)])


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][:3]
    except FileNotFoundError:
        return False


async def kill(engine: OpenVinoEngine, number: signal.Signals = signal.SIGKILL) -> int:
    pid = engine.pid
    assert pid is not None
    os.kill(pid, number)
    await until(lambda: engine.pid != pid)
    return pid


async def test_a_process_that_dies_fails_its_requests_and_is_started_again(make_engine: MakeEngine) -> None:
    engine = make_engine("tiny")
    assert await text(engine, ask("count")) == "1 2 3 4 5"
    streams = [engine.generate(LONG) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    first = await kill(engine)
    for stream in streams:
        with pytest.raises(ServiceUnavailable, match="engine process died of SIGKILL") as caught:
            async for _ in stream:
                pass
        assert (caught.value.status, caught.value.service) == (503, "openvino")
    with pytest.raises(ServiceUnavailable, match="model tiny on openvino: loading"):
        await engine.ready()
    assert await text(engine, ask("count", 3)) == "1 2 3"  # it waits for the new process
    await engine.ready()
    assert engine.pid != first
    assert engine.idle


async def test_deaths_in_a_row_are_answered_more_and_more_slowly(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 60.0)
    engine = make_engine("tiny")
    await text(engine, ask("count"))
    await kill(engine)
    await text(engine, ask("count"))
    await kill(engine)
    with pytest.raises(ServiceUnavailable, match="starts again in 60 s") as caught:
        await text(engine, ask("count"))  # which does not wait for it
    assert caught.value.retry_after
    with pytest.raises(ServiceUnavailable, match="died of SIGKILL: it starts again in 60 s"):
        await engine.ready()


async def test_after_the_pause_it_starts_again(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.1)
    engine = make_engine("tiny")
    for _ in range(2):
        await text(engine, ask("count"))
        await kill(engine)
    await until(lambda: engine.pid is not None)
    assert await text(engine, ask("count")) == "1 2 3 4 5"


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [restart_pause(deaths) for deaths in (0, 1, 2, 3, 4, 7, 8, 50)] == [0, 0, 1, 2, 4, 32, 60, 60]


async def test_a_step_that_fails_reaches_every_request_and_passes(make_engine: MakeEngine) -> None:
    engine = make_engine("tiny")
    await text(engine, ask("count"))
    pid = engine.pid
    results = await asyncio.gather(text(engine, LONG), text(engine, ask("fail", 100)), return_exceptions=True)
    assert all(isinstance(result, ServiceError) for result in results)
    assert all("out of memory" in str(result) for result in results)
    await until(lambda: engine.pid not in {pid, None})
    assert await text(engine, ask("count")) == "1 2 3 4 5"


async def test_a_request_that_the_engine_refuses_fails_alone(make_engine: MakeEngine) -> None:
    engine = make_engine("tiny")
    stream = engine.generate(LONG)
    await anext(stream)
    pid = engine.pid
    with pytest.raises(InvalidRequest, match="no such template"):
        await text(engine, ask("refuse"))
    assert (await anext(stream)).content
    await stream.aclose()
    assert engine.pid == pid


async def test_closing_a_stream_cancels_its_request_alone(make_engine: MakeEngine) -> None:
    engine = make_engine("tiny")
    left, kept = engine.generate(LONG), engine.generate(LONG)
    await anext(left)
    await anext(kept)
    await left.aclose()
    assert (await anext(kept)).content
    assert not engine.idle
    await kept.aclose()
    await until(lambda: engine.idle)


async def test_a_process_that_is_stuck_is_ended_once_its_request_was_cancelled(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STUCK_SECONDS", 0.2)
    engine = make_engine("tiny")
    await text(engine, ask("count"))
    pid = engine.pid
    assert pid is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await text(engine, ask("hang"))
    await until(lambda: engine.pid != pid)
    assert not is_alive(pid)
    assert await text(engine, ask("count")) == "1 2 3 4 5"


async def test_what_a_library_prints_breaks_no_frame(make_engine: MakeEngine) -> None:
    assert await text(make_engine("tiny"), ask("print")) == "1 2 3 4 5"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "openvino failed: bad magic"),
        ("dies", r"died of SIGABRT \(terminate called after throwing: illegal instruction\) while it opened"),
    ],
)
async def test_why_a_model_does_not_open_is_said(make_engine: MakeEngine, name: str, message: str) -> None:
    engine = make_engine(name)
    with pytest.raises(RaglineError, match=message):
        await text(engine, ask("count"))
    with pytest.raises(ServiceUnavailable, match=f"model {name} on openvino: .*{message}"):
        await engine.ready()


async def test_closing_leaves_no_process(make_engine: MakeEngine) -> None:
    engine = make_engine("tiny")
    stream = engine.generate(LONG)
    await anext(stream)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)  # a terminal's Ctrl-C is the service's to handle
    assert (await anext(stream)).content
    await engine.close()
    assert not is_alive(pid)
    with pytest.raises(ServiceUnavailable, match="unloaded"):
        async for _ in stream:
            pass


def find_stand_ins() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children if STAND_IN.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_closing_while_the_model_opens(make_engine: MakeEngine) -> None:
    engine = make_engine("slow")
    await until(lambda: bool(find_stand_ins()))
    pids = find_stand_ins()
    await engine.close()
    assert not [pid for pid in pids if is_alive(pid)]


PARENT = """
import asyncio, sys
from services.generation.backends.openvino.process import EngineProcess
from services.generation.backends.openvino.protocol import Opening

async def main():
    process = await EngineProcess.open(Opening("x", "tiny", 1, 1, 1), print, sys.argv[1])
    print(process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_service_that_is_killed_leaves_no_engine_behind() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, STAND_IN, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    "message",
    [
        Opening("folder", "tiny", 10, 2, 3),
        Start(
            7, Prompt((("user", "ü\u2028"), ("assistant", "")), 5, 0.5, 0.9, stop=("a",), prefix="<think>")
        ),
        Cancel(7),
        Failure(7, "context_length_exceeded", "too long"),
    ],
)
def test_a_frame_is_read_back(message: Start | Cancel | Opening | Failure) -> None:
    frame = encode_frame(message)
    assert HEADER.unpack(frame[: HEADER.size]) == (len(frame) - HEADER.size,)
    assert decode_body(frame[HEADER.size :]) == message


def test_a_frame_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 'Exec'"):
        decode_body(b'["Exec", {}]')
