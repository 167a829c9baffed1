"""Which files `ragline ingest` takes, what it sends, and what it says of each."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.ingest import Upload, collect, ingest
from services.core.client import HttpClient
from services.core.errors import ServiceUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "docs/guide/setup.md",
        "docs/README.MD",
        "docs/paper.pdf",
        "docs/page.html",
        "docs/.hidden.md",
        "docs/.git/config.txt",
        "docs/image.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(uploads: list[Upload]) -> list[str]:
    return [upload.name for upload in uploads]


def test_folders_give_their_supported_files_with_relative_names(folder: Path) -> None:
    found = names(collect([folder / "docs"]))
    assert found == ["docs/README.MD", "docs/guide/setup.md", "docs/page.html", "docs/paper.pdf"]


def test_links_in_a_folder_are_not_followed_and_archives_are_taken(folder: Path) -> None:
    (folder / "secret.md").write_text("secret")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "more.md").write_text("more")
    (folder / "docs" / "link.md").symlink_to(folder / "secret.md")
    (folder / "docs" / "linked").symlink_to(folder / "elsewhere")
    (folder / "docs" / "all.tar.gz").write_bytes(b"archive")
    assert names(collect([folder / "docs"])) == [
        "docs/README.MD",
        "docs/all.tar.gz",
        "docs/guide/setup.md",
        "docs/page.html",
        "docs/paper.pdf",
    ]


def test_names_do_not_depend_on_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = names(collect([folder / "docs"]))
    monkeypatch.chdir(folder / "docs")
    assert names(collect([Path()])) == absolute
    monkeypatch.chdir(folder)
    assert names(collect([Path("docs")])) == absolute


def test_a_hidden_folder_named_by_the_user_is_taken(folder: Path) -> None:
    assert names(collect([folder / "docs" / ".git"])) == [".git/config.txt"]


def test_the_same_file_twice_is_one_upload(folder: Path) -> None:
    assert names(collect([folder / "docs" / "page.html", folder / "docs" / "page.html"])) == ["page.html"]


def test_two_files_under_one_name_are_refused(folder: Path) -> None:
    other = folder / "other" / "page.html"
    other.parent.mkdir()
    other.write_text("x")
    with pytest.raises(UsageError, match=r"both be stored as 'page\.html'"):
        collect([folder / "docs" / "page.html", other])


@pytest.mark.parametrize("path", ["absent", "docs/empty"])
def test_nothing_to_ingest_is_an_error(folder: Path, path: str) -> None:
    (folder / "docs" / "empty").mkdir()
    with pytest.raises(UsageError, match=r"does not exist|nothing to ingest"):
        collect([folder / path])


class Gateway:
    """Takes uploads as the gateway does; a file whose text is "bad" is a 422, from dataprep."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bytes]] = []

    async def upload(self, request: Request) -> JSONResponse:
        async with request.form() as form:
            file = form["files"]
            assert isinstance(file, UploadFile)
            data = await file.read()
            if data == b"bad":
                error = {
                    "type": "t",
                    "code": "invalid_request",
                    "message": "not a PDF",
                    "service": "dataprep",
                }
                return JSONResponse({"error": error}, status_code=422)
            self.received.append((str(form["collection"]), str(file.filename), data))
        return JSONResponse({"status": 200})


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[Gateway, HttpClient]]:
    stand_in = Gateway()
    app = Starlette(routes=[Route("/v1/documents", stand_in.upload, methods=["POST"])])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        async with HttpClient("gateway", f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            yield stand_in, client
        server.should_exit = True
        await task


def output() -> tuple[Output, io.StringIO]:
    text = io.StringIO()
    return Output(Console(file=text), Console(file=text)), text


async def test_files_arrive_whole_under_their_names(
    folder: Path, gateway: tuple[Gateway, HttpClient]
) -> None:
    stand_in, client = gateway
    big = os.urandom(3_000_000)
    (folder / "docs" / "paper.pdf").write_bytes(big)
    (folder / "docs" / 'sömé "quoted".md').write_text("x")
    out, text = output()
    assert await ingest(collect([folder / "docs"]), client, "notes", out) == 0
    received = {name: data for collection, name, data in stand_in.received if collection == "notes"}
    assert received["docs/paper.pdf"] == big
    assert received["docs/guide/setup.md"] == b"docs/guide/setup.md"
    assert "docs/sömé %22quoted%22.md" in received, "as browsers send it"
    assert "ok      docs/guide/setup.md" in text.getvalue()
    assert "5 of 5 files are in collection notes" in text.getvalue()


async def test_one_bad_file_does_not_stop_the_others(
    folder: Path, gateway: tuple[Gateway, HttpClient]
) -> None:
    stand_in, client = gateway
    (folder / "docs" / "page.html").write_bytes(b"bad")
    out, text = output()
    assert await ingest(collect([folder / "docs"]), client, "default", out) == 1
    assert "failed  docs/page.html: not a PDF" in text.getvalue()
    assert len(stand_in.received) == 3


async def test_a_gateway_that_is_down_ends_it(folder: Path) -> None:
    out, _ = output()
    async with HttpClient("gateway", "http://127.0.0.1:9") as client:
        with pytest.raises(ServiceUnavailable, match="gateway is down"):
            await ingest(collect([folder / "docs"]), client, "default", out)
