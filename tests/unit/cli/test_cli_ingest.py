"""Which files `ragline ingest` takes, what it sends, and what it says of each."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.cli.commands.jobs import list_jobs, show_job
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.ingesting import ingest
from services.cli.uploading import Jobs, Upload, collect_uploads, skipped_suffixes, split_into_jobs
from services.cli.watching import check_folder, watch
from services.core.client import HttpClient
from services.core.errors import ErrorDetail, ServiceUnavailable
from services.core.sse import format_event
from services.core.wire.dataprep import FileChange, FileWarning, Job, JobFile, JobsReply
from services.dataprep.upload.names import document_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "docs/guide/setup.md",
        "docs/README.MD",
        "docs/paper.pdf",
        "docs/page.html",
        "docs/.hidden.md",
        "docs/.git/config.txt",
        "docs/image.gif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(uploads: list[Upload]) -> list[str]:
    return [upload.name for upload in uploads]


def test_folders_give_their_supported_files_with_relative_names(folder: Path) -> None:
    found = names(collect_uploads([folder / "docs"]))
    assert found == ["docs/README.MD", "docs/guide/setup.md", "docs/page.html", "docs/paper.pdf"]


def test_links_in_a_folder_are_not_followed_and_archives_are_taken(folder: Path) -> None:
    (folder / "secret.md").write_text("secret")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "more.md").write_text("more")
    (folder / "docs" / "link.md").symlink_to(folder / "secret.md")
    (folder / "docs" / "linked").symlink_to(folder / "elsewhere")
    (folder / "docs" / "all.tar.gz").write_bytes(b"archive")
    assert names(collect_uploads([folder / "docs"])) == [
        "docs/README.MD",
        "docs/all.tar.gz",
        "docs/guide/setup.md",
        "docs/page.html",
        "docs/paper.pdf",
    ]


def test_names_do_not_depend_on_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = names(collect_uploads([folder / "docs"]))
    monkeypatch.chdir(folder / "docs")
    assert names(collect_uploads([Path()])) == absolute
    monkeypatch.chdir(folder)
    assert names(collect_uploads([Path("docs")])) == absolute


def test_a_hidden_folder_named_by_the_user_is_taken(folder: Path) -> None:
    assert names(collect_uploads([folder / "docs" / ".git"])) == [".git/config.txt"]


def test_the_same_file_twice_is_one_upload(folder: Path) -> None:
    assert names(collect_uploads([folder / "docs" / "page.html", folder / "docs" / "page.html"])) == [
        "page.html"
    ]


def test_two_files_under_one_name_are_refused(folder: Path) -> None:
    other = folder / "other" / "page.html"
    other.parent.mkdir()
    other.write_text("x")
    with pytest.raises(UsageError, match=r"both be stored as 'page\.html'"):
        collect_uploads([folder / "docs" / "page.html", other])


@pytest.mark.parametrize("path", ["absent", "docs/empty"])
def test_nothing_to_ingest_is_an_error(folder: Path, path: str) -> None:
    (folder / "docs" / "empty").mkdir()
    with pytest.raises(UsageError, match=r"does not exist|nothing to ingest"):
        collect_uploads([folder / path])


class Gateway:
    """Takes jobs as the gateway does; a file whose text is "bad" fails, one that is "refused" is a 422.

    The first `drops` connections that follow a job end early, the first `full` submissions are a 429.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bytes]] = []
        self.jobs: dict[str, Job] = {}
        self.documents: dict[str, str] = {}
        self.deleted: list[str] = []
        self.drops = 0
        self.full = 0
        self.waits = False
        self.app = Starlette(
            routes=[
                Route("/v1/jobs", self.submit, methods=["POST"]),
                Route("/v1/jobs", self.listed),
                Route("/v1/jobs/{id}", self.get, methods=["GET", "DELETE"]),
                Route("/v1/jobs/{id}/events", self.events),
                Route("/v1/documents", self.list_documents),
                Route("/v1/documents/{id}", self.delete, methods=["DELETE"]),
            ]
        )

    async def submit(self, request: Request) -> Response:
        async with request.form() as form:
            uploads = [(str(each.filename), await each.read()) for each in form.getlist("files")]  # type: ignore[union-attr]
            if self.full:
                self.full -= 1
                return problem(429, "rate_limited", "full", {"retry-after": "0"})
            if any(data == b"refused" for _, data in uploads):
                return problem(422, "invalid_request", "not a PDF")
            self.fields = {key: value for key, value in form.items() if key != "files"}
            self.received += [(str(form["collection"]), name, data) for name, data in uploads]
        files = []
        for name, data in uploads:
            revision = hashlib.sha256(data).hexdigest()
            error = ErrorDetail(type="t", code="unsupported_media", message="not a PDF")
            good: dict[str, object] = {
                "status": "done",
                "outcome": "ingested",
                "revision": revision,
                "passages": 1,
            }
            if data == b"legacy":
                good["warnings"] = [FileWarning(kind="encoding_guessed", message="was guessed to be cp1252")]
            update = {"status": "failed", "error": error} if data == b"bad" else good
            files.append(JobFile(name=name, document_id=document_id(name)).model_copy(update=update))
            if data != b"bad":
                self.documents[document_id(name)] = revision
        job = Job(
            id=f"job-{len(self.jobs)}",
            status="done",
            collection="c",
            files=files,
            created_at=datetime.now(UTC),
            finished_at=datetime.now(UTC),
        )
        self.jobs[job.id] = job
        return Response(begun(job).model_dump_json(), 202, media_type="application/json")

    async def events(self, request: Request) -> Response:
        job = self.jobs[request.path_params["id"]]
        body = format_event(begun(job).model_dump_json().encode(), "job")
        if self.drops:
            self.drops -= 1
        else:
            for index, file in enumerate(job.files):
                change = FileChange(index=index, file=file)
                body += format_event(change.model_dump_json().encode(), "file")
            body += format_event(job.model_dump_json().encode(), "done")
        return Response(body, media_type="text/event-stream")

    async def listed(self, _: Request) -> Response:
        reply = JobsReply(jobs=list(reversed(self.jobs.values())))
        return Response(reply.model_dump_json(), media_type="application/json")

    async def get(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return problem(404, "not_found", "no job")
        return Response(job.model_dump_json(), media_type="application/json")

    async def list_documents(self, _: Request) -> Response:
        found = [{"id": id_, "revision": revision} for id_, revision in self.documents.items()]
        return JSONResponse({"documents": found})

    async def delete(self, request: Request) -> Response:
        self.documents.pop(request.path_params["id"])
        self.deleted.append(request.path_params["id"])
        return JSONResponse({"passages": 1})


def begun(job: Job) -> Job:
    """The job before anything of it was done."""
    files = [JobFile(name=file.name, document_id=file.document_id) for file in job.files]
    return job.model_copy(update={"status": "queued", "files": files, "finished_at": None})


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    error = {"type": "t", "code": code, "message": message, "service": "dataprep"}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[Gateway, HttpClient]]:
    stand_in = Gateway()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(stand_in.app, log_config=None, lifespan="off"))
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
    assert await ingest(collect_uploads([folder / "docs"]), client, "notes", out) == 0
    received = {name: data for collection, name, data in stand_in.received if collection == "notes"}
    assert received["docs/paper.pdf"] == big
    assert received["docs/guide/setup.md"] == b"docs/guide/setup.md"
    assert "docs/sömé %22quoted%22.md" in received, "as browsers send it"
    assert "ok      docs/guide/setup.md" in text.getvalue()
    assert "5 of 5 files are in collection notes" in text.getvalue()


async def test_warnings_are_printed_and_fields_are_sent(
    folder: Path, gateway: tuple[Gateway, HttpClient]
) -> None:
    stand_in, client = gateway
    (folder / "docs" / "old.txt").write_bytes(b"legacy")
    out, text = output()
    jobs = Jobs(client, fields={"encoding": "cp1252", "strict": "true"})
    assert await ingest(collect_uploads([folder / "docs"]), client, "c", out, jobs=jobs) == 0
    assert "warning docs/old.txt: was guessed to be cp1252" in text.getvalue()
    assert "5 of 5 files are in collection c, 1 with warnings" in text.getvalue()
    assert stand_in.fields == {"collection": "c", "encoding": "cp1252", "strict": "true"}


def test_files_that_are_skipped_for_their_suffix_are_counted(folder: Path) -> None:
    for name in ("scan.BMP", "b.bmp", "setup.exe", "README", ".hidden.bmp", ".git/x.bmp"):
        (folder / "docs" / name).write_bytes(b"x")
    skipped = skipped_suffixes([folder / "docs", folder / "docs" / "b.bmp"])
    assert {suffix: skipped[suffix] for suffix in (".bmp", ".exe", "no suffix")} == {
        ".bmp": 2,
        ".exe": 1,
        "no suffix": 1,
    }


@pytest.mark.parametrize("content", [b"bad", b"refused"])
async def test_one_bad_file_does_not_stop_the_others(
    folder: Path, gateway: tuple[Gateway, HttpClient], content: bytes
) -> None:
    """Also where the whole job is refused for it."""
    stand_in, client = gateway
    (folder / "docs" / "page.html").write_bytes(content)
    out, text = output()
    assert await ingest(collect_uploads([folder / "docs"]), client, "default", out) == 1
    assert "failed  docs/page.html: not a PDF" in text.getvalue()
    assert len(stand_in.documents) == 3


async def test_a_full_queue_and_dropped_connections_are_waited_out(
    folder: Path, gateway: tuple[Gateway, HttpClient]
) -> None:
    stand_in, client = gateway
    stand_in.full, stand_in.drops = 2, 3
    out, text = output()
    assert await ingest(collect_uploads([folder / "docs"]), client, "default", out) == 0
    assert "4 of 4 files" in text.getvalue()
    assert (stand_in.full, stand_in.drops) == (0, 0)


async def test_without_waiting_the_ids_are_printed(folder: Path, gateway: tuple[Gateway, HttpClient]) -> None:
    stand_in, client = gateway
    out, text = output()
    assert await ingest(collect_uploads([folder / "docs"]), client, "default", out, wait=False) == 0
    assert text.getvalue().split() == list(stand_in.jobs)


async def test_progress_on_a_terminal(folder: Path, gateway: tuple[Gateway, HttpClient]) -> None:
    text = io.StringIO()
    terminal = Output(Console(file=text, force_terminal=True, width=200), Console(file=text))
    assert await ingest(collect_uploads([folder / "docs"]), gateway[1], "default", terminal) == 0
    assert "docs/README.MD and 3 more" in text.getvalue()


def test_many_files_are_several_jobs(tmp_path: Path) -> None:
    small = [Upload(tmp_path / f"{number}", f"{number}") for number in range(45)]
    for upload in small:
        upload.path.write_bytes(b"x")
    assert [len(batch) for batch in split_into_jobs(small)] == [20, 20, 5]
    big = small[3].path
    with big.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    assert [len(batch) for batch in split_into_jobs(small[:6])] == [3, 1, 2]
    assert list(split_into_jobs([])) == []


async def test_a_gateway_that_is_down_ends_it(folder: Path) -> None:
    out, _ = output()
    async with HttpClient("gateway", "http://127.0.0.1:9") as client:
        with pytest.raises(ServiceUnavailable, match="gateway is down"):
            await ingest(collect_uploads([folder / "docs"]), client, "default", out)


async def test_jobs_are_shown(folder: Path, gateway: tuple[Gateway, HttpClient]) -> None:
    stand_in, client = gateway
    (folder / "docs" / "page.html").write_bytes(b"bad")
    out, text = output()
    await list_jobs(client, out, 5)
    assert "no jobs" in text.getvalue()
    await ingest(collect_uploads([folder / "docs"]), client, "default", out)
    await list_jobs(client, out, 5)
    assert "job-0  done    4/4" in text.getvalue()
    assert await show_job(client, out, "job-0", follow=True, cancel=False)
    assert "docs/page.html" in text.getvalue().splitlines()[-2]
    assert await show_job(client, out, "job-0", follow=False, cancel=True)
    stand_in.jobs["job-0"] = stand_in.jobs["job-0"].model_copy(update={"status": "failed"})
    assert not await show_job(client, out, "job-0", follow=False, cancel=False)


class Watching:
    """`watch` at work on `folder/docs`."""

    def __init__(self, folder: Path, client: HttpClient) -> None:
        self._out, self.text = output()
        self._task = asyncio.ensure_future(watch(folder / "docs", client, "c", self._out, folder / "records"))

    async def until(self, line: str) -> None:
        async with asyncio.timeout(20):
            while line not in self.text.getvalue():  # noqa: ASYNC110 - of a Console, which tells nobody
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert self._task.cancelled()
        assert "no longer watching" in self.text.getvalue()


async def test_a_watched_folder_is_kept_in_sync(folder: Path, gateway: tuple[Gateway, HttpClient]) -> None:
    stand_in, client = gateway
    docs = folder / "docs"
    stand_in.documents["doc-of-somebody"] = "x"
    watching = Watching(folder, client)
    await watching.until("ok      docs/paper.pdf")
    (docs / "guide" / "new.md").write_text("new")
    await watching.until("ok      docs/guide/new.md")
    (docs / "page.html").write_text("bad")
    await watching.until("failed  docs/page.html")
    (docs / "paper.pdf").unlink()
    await watching.until("deleted docs/paper.pdf")
    sent = len(stand_in.received)
    await watching.end()

    (docs / "README.MD").unlink()  # while nobody watches
    (docs / "guide" / "setup.md").write_text("changed")
    stand_in.documents[document_id("docs/guide/new.md")] = "replaced by somebody"
    (docs / "guide" / "new.md").unlink()
    again = Watching(folder, client)
    await again.until("deleted docs/README.MD")
    await again.until("kept    docs/guide/new.md")
    await again.end()
    assert [name for _, name, _ in stand_in.received[sent:]] == ["docs/guide/setup.md", "docs/page.html"]
    assert set(stand_in.deleted) == {document_id("docs/paper.pdf"), document_id("docs/README.MD")}
    assert "doc-of-somebody" in stand_in.documents


async def test_watching_waits_for_a_gateway_that_is_down(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.watching.AGAIN_SECONDS", 0.05)
    async with HttpClient("gateway", "http://127.0.0.1:9") as client:
        watching = Watching(folder, client)
        await watching.until("gateway is down")
        await watching.end()


def test_what_is_watched_is_one_folder(folder: Path) -> None:
    assert check_folder([folder / "docs"]) == folder / "docs"
    for paths in ([], [folder, folder], [folder / "docs" / "paper.pdf"]):
        with pytest.raises(UsageError, match="one folder"):
            check_folder(paths)
