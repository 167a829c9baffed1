"""Models that the catalogue does not list, from a hub and a web server on loopback: what comes first is the pin."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.models.fetch import Fetcher, ModelUnavailable
from services.core.models.files import HubChoice, HubFile, UnknownModel, WebFile
from services.core.models.hub import Hub
from services.core.models.memory import NotEnoughMemory, check_memory, estimate_memory, read_memory_limit
from services.core.models.references import find_model, read_reference

MODEL = b"GGUF" + b"weights " * 4000
REPO = "someone/Tiny-GGUF"


class Handler(http.server.BaseHTTPRequestHandler):
    """The hub's routes that a fetch needs (the list, the file behind a redirect, ranges), and any other file."""

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        server: Server = self.server  # type: ignore[assignment]
        path = self.path.partition("?")[0]
        server.asked.append(f"{self.command} {path} {self.headers.get('range', '')}".strip())
        if path == f"/api/models/{REPO}/tree/main":
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in server.files.items()
            ]
            return self.send(200, json.dumps(listed).encode(), {}, body=body)
        if path == "/":
            return self.send(200, b"", {}, body=body)
        name = path.rpartition("/")[2]
        data = server.files.get(name)
        if data is None:
            return self.send(404, b"", {}, body=body)
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        if "/resolve/" in path:
            linked = {"x-linked-etag": etag, "x-linked-size": str(len(data)), "x-repo-commit": "0" * 40}
            return self.send(
                302,
                b"",
                {"location": f"http://localhost:{server.server_port}/cdn/{name}", **linked},
                body=body,
            )
        start = 0
        if "range" in self.headers and self.headers.get("if-range", etag) == etag:
            start = int(self.headers["range"].removeprefix("bytes=").partition("-")[0])
        headers = {"etag": etag}
        if start:
            headers["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self.send(206 if start else 200, data[start:], headers, body=body)

    def send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        server: Server = self.server  # type: ignore[assignment]
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[: server.cut] if server.cut else data)
            if server.cut:
                self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"Tiny-Q4_K_M.gguf": MODEL, "Tiny-Q8_0.gguf": MODEL + b"8", "README.md": b"#"}
        self.asked: list[str] = []
        self.cut = 0
        """Bytes of a body after which the connection ends; 0: none."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetcher(home: Path, server: Server) -> Fetcher:
    return Fetcher(home, hub=Hub(server.url))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a/b-GGUF", HubChoice("a/b-GGUF", "Q4_K_M")),
        ("a/b-GGUF:Q8_0", HubChoice("a/b-GGUF", "Q8_0")),
        ("a/b/deep/c.gguf", HubFile("a/b", "deep/c.gguf")),
        ("https://huggingface.co/a/b/resolve/main/c.gguf?download=true", HubFile("a/b", "c.gguf", "main")),
        ("https://huggingface.co/a/b/blob/v1/c.gguf", HubFile("a/b", "c.gguf", "v1")),
        ("http://files.example/c.gguf", WebFile("http://files.example/c.gguf")),
    ],
)
def test_a_reference_says_which_file(text: str, source: object) -> None:
    model = read_reference(text)
    assert model is not None
    assert model.files[0].sources == (source,)
    assert model.called == text


def test_what_is_no_reference_is_unknown() -> None:
    for text in ("nothing", "https://files.example/c.bin", "a/b/c", "/a/b", ""):
        assert read_reference(text) is None
    with pytest.raises(UnknownModel, match=r"qwen3-8b.*hub id.*URL"):
        find_model("nothing")


@pytest.mark.parametrize("reference", [REPO, f"{REPO}:q8_0", f"{REPO}/Tiny-Q8_0.gguf"])
def test_a_file_of_the_hub_is_pinned_by_its_first_fetch(
    tmp_path: Path, server: Server, reference: str
) -> None:
    expected = MODEL if reference == REPO else MODEL + b"8"
    fetch = fetcher(tmp_path, server)
    assert fetch.measure(reference) == len(expected)
    path = fetch.fetch(reference)
    assert path.read_bytes() == expected
    (pin,) = (tmp_path / "models" / ".pins").iterdir()
    assert json.loads(pin.read_text())["sha256"] == hashlib.sha256(expected).hexdigest()

    asked = len(server.asked)
    assert fetch.present(reference)
    assert fetch.fetch(reference) == path
    assert len(server.asked) == asked, "what is here and verified is not asked for"


def test_other_bytes_later_are_refused_by_name(tmp_path: Path, server: Server) -> None:
    path = fetcher(tmp_path, server).fetch(REPO)
    first = hashlib.sha256(MODEL).hexdigest()
    path.unlink()
    server.files["Tiny-Q4_K_M.gguf"] = MODEL + b"!"
    with pytest.raises(ModelUnavailable, match=rf"{REPO}.*its first fetch recorded.*\.pins.*{first}"):
        fetcher(tmp_path, server).fetch(REPO)
    assert not path.exists()
    server.files["Tiny-Q4_K_M.gguf"] = MODEL
    assert fetcher(tmp_path, server).fetch(REPO).read_bytes() == MODEL


def test_a_url_works_and_its_download_goes_on_where_it_was_cut(tmp_path: Path, server: Server) -> None:
    url = f"{server.url}/files/Tiny-Q4_K_M.gguf"
    server.cut = 10_000
    with pytest.raises(ModelUnavailable, match=r"Tiny-Q4_K_M\.gguf"):
        fetcher(tmp_path, server).fetch(url)
    server.cut = 0
    assert fetcher(tmp_path, server).fetch(url).read_bytes() == MODEL
    assert server.asked[-1] == "GET /files/Tiny-Q4_K_M.gguf bytes=10000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(tmp_path: Path, server: Server) -> None:
    url = f"{server.url}/files/Tiny-Q4_K_M.gguf"
    server.cut = 10_000
    with pytest.raises(ModelUnavailable):
        fetcher(tmp_path, server).fetch(url)
    server.cut = 0
    server.files["Tiny-Q4_K_M.gguf"] = changed = MODEL[::-1].replace(b"FUGG", b"") + b"G"
    server.files["Tiny-Q4_K_M.gguf"] = changed = b"GGUF" + changed
    assert fetcher(tmp_path, server).fetch(url).read_bytes() == changed


def test_what_is_no_gguf_or_not_there_is_said(tmp_path: Path, server: Server) -> None:
    server.files["page.gguf"] = b"<html>please log in</html>"
    with pytest.raises(ModelUnavailable, match="it is no GGUF file"):
        fetcher(tmp_path, server).fetch(f"{server.url}/page.gguf")
    with pytest.raises(ModelUnavailable, match=r"has no Q2_K file; it has Tiny-Q4_K_M\.gguf, Tiny-Q8_0"):
        fetcher(tmp_path, server).fetch(f"{REPO}:Q2_K")
    with pytest.raises(ModelUnavailable, match="404"):
        fetcher(tmp_path, server).fetch(f"{server.url}/no.gguf")
    assert not (tmp_path / "models" / ".pins").exists()


def test_a_model_that_cannot_fit_is_refused_and_a_tight_one_warned_of() -> None:
    model = find_model("deepseek-r1-distill-llama-8b")
    needed = estimate_memory(model.size, model.kv_bytes, 8192)
    assert needed == model.size + 65_536 * 8192 + 100_000_000
    with pytest.raises(
        NotEnoughMemory, match=r"llama-8b needs at least 5\.6 GB of memory, and there are 4\.0"
    ):
        check_memory("llama-8b", needed, 4_000_000_000)
    assert "at least 5.6 GB" in check_memory("llama-8b", needed, 6_000_000_000)
    assert check_memory("llama-8b", needed, 16_000_000_000) == ""
    assert check_memory("llama-8b", needed, 0) == "", "a system that says nothing refuses nothing"


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit, unlimited = tmp_path / "memory.max", tmp_path / "unlimited"
    limit.write_text("1000000\n")
    unlimited.write_text("max\n")
    assert read_memory_limit((limit,)) == 1_000_000
    assert read_memory_limit((unlimited, tmp_path / "none")) > 1_000_000
