"""Parsing in a process of its own: what hangs, dies or eats memory fails one file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from services.core.children import build_command
from services.core.errors import InvalidRequest, PayloadTooLarge, ServiceUnavailable, UnsupportedMedia
from services.dataprep.parsing import sandbox as module
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.document import Limits
from services.dataprep.parsing.protocol import HEADER, Task, frame
from services.dataprep.parsing.sandbox import Sandbox
from tests.own_time import OwnTime

MEBI = 1024 * 1024


@asynccontextmanager
async def opened(
    *,
    processes: int = 1,
    seconds: float = 20,
    worker: str = module.PROCESS_MODULE,
    memory: int = 1024 * MEBI,
) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(
        processes=processes, seconds=seconds, memory_bytes=memory, limits=Limits(), module=worker
    )
    try:
        yield sandbox
    finally:
        await sandbox.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def _write(data: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return path

    return _write


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A worker that does what the file's content says: the shapes that a broken parser takes."""
    (tmp_path / "misbehaving.py").write_text(
        "import os, sys, time\n"
        "from services.dataprep.parsing.formats import text\n"
        "from services.dataprep.parsing.document import ParsedDocument\n"
        "from services.dataprep.parsing import process\n"
        "def parse(data, limits, suffix):\n"
        "    what = data.decode()\n"
        "    if what == 'hang': time.sleep(100)\n"
        "    if what == 'spin':\n"
        "        while True: pass\n"
        "    if what == 'crash': os.kill(os.getpid(), 11)\n"
        "    if what == 'exit': os._exit(3)\n"
        "    if what == 'eat': return ParsedDocument('x' * 2**40)\n"
        "    if what == 'bug': return 1 / 0\n"
        f"    if what == 'write': os.write(os.open({str(tmp_path / 'written')!r}, os.O_CREAT | os.O_WRONLY), b'x')\n"
        "    if what == 'print': print('noise'); os.write(1, b'noise')\n"
        "    return ParsedDocument(what + ' ' + ' '.join(sorted(os.environ)))\n"
        "text.parse = parse\n"
        "process.main(int(sys.argv[1]))\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("SECRET_KEY", "hidden")
    return "misbehaving"


async def test_text_and_chunks_come_back(write: Callable[[bytes], Path]) -> None:
    async with opened() as sandbox:
        document = await sandbox.parse(write("# Ü 🙂\n\nbody".encode()), "a.md", Chunking())
    assert document.text == "# Ü 🙂\n\nbody"
    [only] = document.chunks
    assert (only.start, only.end, only.section, only.page) == (0, 11, "Ü 🙂", None)


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.pdf", b"no", UnsupportedMedia),
        ("a.pdf", b"%PDF-1.4 no", InvalidRequest),
        ("a.exe", b"no", UnsupportedMedia),
        ("a.txt", b"", InvalidRequest),
        ("a.txt", b"x" * (33 * MEBI), PayloadTooLarge),
    ],
)
async def test_a_bad_file_names_itself(
    write: Callable[[bytes], Path], name: str, data: bytes, error: type[InvalidRequest]
) -> None:
    async with opened() as sandbox:
        with pytest.raises(error, match=name) as caught:
            await sandbox.parse(write(data), name, Chunking())
        assert type(caught.value) is error
        assert (await sandbox.parse(write(b"good"), "b.txt", Chunking())).text == "good"


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("hang", InvalidRequest, "longer than 2 s"),
        ("spin", InvalidRequest, "longer than 2 s"),
        ("crash", InvalidRequest, "died of SIGSEGV"),
        ("exit", InvalidRequest, "ended with status 3"),
        ("eat", PayloadTooLarge, "memory"),
        ("bug", InvalidRequest, "ZeroDivisionError"),
        ("write", InvalidRequest, r"OSError|PermissionError"),
    ],
)
async def test_a_parser_that_misbehaves_fails_its_file_alone(
    write: Callable[[bytes], Path], misbehaving: str, what: str, error: type[InvalidRequest], words: str
) -> None:
    async with opened(worker=misbehaving, seconds=2) as sandbox:
        await sandbox.parse(write(b"warm"), "warm.txt", Chunking())
        clock = OwnTime()
        with pytest.raises(error, match=words):
            await sandbox.parse(write(what.encode()), "a.txt", Chunking())
        assert clock.seconds() < 8
        assert (await sandbox.parse(write(b"good"), "b.txt", Chunking())).text.startswith("good")


async def test_a_parser_sees_no_secrets_and_may_print(
    write: Callable[[bytes], Path], misbehaving: str
) -> None:
    async with opened(worker=misbehaving) as sandbox:
        document = await sandbox.parse(write(b"print"), "a.txt", Chunking())
    assert document.text.startswith("print")
    assert "PATH" in document.text.split()
    assert "SECRET_KEY" not in document.text


async def test_files_are_parsed_at_the_same_time(write: Callable[[bytes], Path], misbehaving: str) -> None:
    path = write(b"hang")
    async with opened(worker=misbehaving, processes=2, seconds=2) as sandbox:
        warm = write(b"warm").rename(path.with_name("warm"))
        await asyncio.gather(*(sandbox.parse(warm, "a.txt", Chunking()) for _ in range(2)))
        write(b"hang")
        clock = OwnTime()
        both = [sandbox.parse(path, name, Chunking()) for name in ("a.txt", "b.txt")]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert clock.seconds() < 3.5
    assert [type(result) for result in results] == [InvalidRequest, InvalidRequest]


async def test_a_parser_that_does_not_start_is_the_services_fault(write: Callable[[bytes], Path]) -> None:
    async with opened(worker="services.dataprep.no_such_module") as sandbox:
        with pytest.raises(ServiceUnavailable, match="python -m services"):
            await sandbox.parse(write(b"text"), "a.txt", Chunking())


async def test_a_cancelled_file_frees_its_place(write: Callable[[bytes], Path], misbehaving: str) -> None:
    async with opened(worker=misbehaving) as sandbox:
        task = asyncio.ensure_future(sandbox.parse(write(b"hang"), "a.txt", Chunking()))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await sandbox.parse(write(b"good"), "b.txt", Chunking())).text.startswith("good")


def _peak(pid: int) -> int:
    """The most bytes that a process has had resident."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_large_file_leaves_no_large_process(write: Callable[[bytes], Path]) -> None:
    async with opened() as sandbox:
        await sandbox.parse(write(b"<p>warm"), "a.html", Chunking())
        [only] = sandbox._all
        child = psutil.Process(only._process.pid)
        before = child.memory_info().rss
        await sandbox.parse(write(b"<p>some words here</p>" * 300_000), "a.html", Chunking())
        peak = _peak(child.pid)
        await sandbox.parse(write(b"<p>warm"), "a.html", Chunking())  # answered once it has given back
        assert sandbox._all == {only}
        assert peak > before + 100 * MEBI
        assert child.memory_info().rss < before + 64 * MEBI


async def test_processes_are_replaced_after_a_while(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILES_PER_PROCESS", 2)
    async with opened() as sandbox:
        for number in range(5):
            document = await sandbox.parse(write(str(number).encode()), "a.txt", Chunking())
            assert document.text == str(number)


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    """Its stdin closes when the parent dies; nothing else is needed."""
    path = tmp_path / "a.txt"
    path.write_text("text")
    job = Task(str(path), "a.txt", seconds=5)
    command = build_command(module.PROCESS_MODULE, str(512 * MEBI))
    done = subprocess.run(command, input=frame(job.encode()), capture_output=True, timeout=30, check=True)
    (length,) = HEADER.unpack(done.stdout[: HEADER.size])
    ready, reply = done.stdout[HEADER.size :][:length], done.stdout[HEADER.size + length :]
    assert set(json.loads(ready)) == {"in_force"}
    assert reply == frame(reply[HEADER.size :])
    assert json.loads(reply[HEADER.size :]) == {
        "text": "text",
        "chunks": [[0, 4, "", None, []]],
        "warnings": [],
        "metadata": {},
        "boxes": [],
    }


def test_a_worker_imports_nothing_of_the_service() -> None:
    code = (
        "import sys; import services.dataprep.parsing.process; "
        "print([name for name in ('fastapi', 'starlette', 'uvicorn', 'aiohttp', 'structlog', 'numpy', "
        "'services.core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


async def test_a_parser_that_starts_slowly_is_waited_for_as_long_as_a_file_may_take(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.001)
    async with opened() as sandbox:
        document = await sandbox.parse(write(b"It is here."), "a.txt", Chunking(1500, 100))
    assert document.text == "It is here."


async def test_what_this_system_cannot_keep_parsers_from_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in that says that nothing is in force, as on a system that has neither."""
    (tmp_path / "unprotected.py").write_text(
        "import sys, time\nfrom services.dataprep.parsing.protocol import frame\n"
        'sys.stdout.buffer.write(frame(b\'{"in_force": ["files"]}\')); sys.stdout.flush(); time.sleep(60)\n'
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    sandbox = Sandbox(processes=2, seconds=5, memory_bytes=1 << 30, limits=Limits(), module="unprotected")
    try:
        children = [await sandbox._start_child() for _ in range(2)]
        assert len(children) == 2
        assert sandbox.notices == [
            "parsers are not kept from network and programs: this kernel has no seccomp or Landlock"
        ]
    finally:
        await sandbox.close()
