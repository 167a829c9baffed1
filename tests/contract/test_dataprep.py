"""The dataprep service over HTTP, in front of the real embedding and retrieval services with test backends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from services.dataprep.app import create
from services.dataprep.settings import Settings
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import Serve
from tests.own_time import OwnTime
from tests.ports import free_port

Files = list[tuple[str, tuple[str, bytes]]]

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 2/Kids[3 0 R 3 0 R]>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
    b"/Resources<</Font<</F 5 0 R>>>>>>endobj\n"
    b"4 0 obj<</Length 50>>stream\nBT /F 12 Tf 50 700 Td (Tides follow the moon.) Tj ET\nendstream endobj\n"
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>"
)


def closed_port() -> str:
    return f"http://127.0.0.1:{free_port()}"


@dataclass(frozen=True)
class Service:
    """A running dataprep service and the retrieval service behind it."""

    url: str
    store: str

    def post(self, path: str, **rest: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=30, **rest)

    def send(self, *files: tuple[str, bytes], **fields: object) -> httpx.Response:
        return self.post("/v1/dataprep/ingest", files=[("files", file) for file in files], data=fields)

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/v1/jobs", params=query).json()["jobs"]
        return found

    def job(self, id_: str) -> dict[str, Any]:
        job: dict[str, Any] = httpx.get(f"{self.url}/v1/jobs/{id_}").json()
        return job

    def finished(self, id_: str) -> dict[str, Any]:
        """The job, once it has finished."""
        end = time.monotonic() + 60
        while (job := self.job(id_))["finished_at"] is None:
            assert time.monotonic() < end, job
            time.sleep(0.02)
        return job

    def documents(self, collection: str = "default") -> dict[str, dict[str, Any]]:
        reply = httpx.get(f"{self.url}/v1/documents", params={"collection": collection})
        assert reply.status_code == 200, reply.text
        return {document["name"]: document for document in reply.json()["documents"]}

    def passages(self, collection: str = "default") -> list[dict[str, Any]]:
        """Everything stored, in order."""
        body = {"embedding": [1.0] * 384, "k": 1000, "collection": collection}
        found = httpx.post(f"{self.store}/v1/retrieval", json=body).json()["retrieved_docs"]
        return sorted(found, key=lambda passage: (passage["title"], passage["index"]))


@pytest.fixture(scope="module")
def embedding(serve: Serve) -> str:
    return serve(create_embedding(EmbeddingSettings(backend="fake", port=6000)))


@pytest.fixture(scope="module")
def retrieval(serve: Serve) -> str:
    return serve(create_retrieval(RetrievalSettings(vector_url="memory://")))


def settings(embedding: str, retrieval: str, folder: Path, **rest: Any) -> Settings:
    urls = {"embedding_url": embedding, "retrieval_url": retrieval, "jobs_url": f"sqlite://{folder}/jobs"}
    return Settings(parsers=1, **urls, **rest)


@pytest.fixture(scope="module")
def running(
    serve: Serve, embedding: str, retrieval: str, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    limits = {"max_file_bytes": 100_000, "max_files": 5, "max_upload_bytes": 400_000, "max_pages": 3}
    return Service(
        serve(create(settings(embedding, retrieval, tmp_path_factory.mktemp("dataprep"), batch=4, **limits))),
        retrieval,
    )


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The running service with an empty store."""
    yield running
    running.post("/v1/dataprep/delete", json={"file_path": "all"})
    assert running.documents() == {}


def error_of(reply: httpx.Response) -> dict[str, str]:
    error: dict[str, str] = reply.json()["error"]
    assert error["request_id"] == reply.headers["x-request-id"]
    return error


async def passed_on(request: Request, embedding: str) -> Response:
    """As the embedding service answers."""
    async with httpx.AsyncClient() as client:
        reply = await client.post(
            f"{embedding}/v1/encode",
            content=await request.body(),
            headers={"content-type": "application/json"},
        )
    return Response(reply.content, media_type="application/json")


MARKDOWN = ("# Tides\n\n" + "The moon pulls the water. " * 60 + "\n\n## Neap\n\nSmall ones.").encode()


def test_every_format_is_ingested_with_exact_spans(service: Service) -> None:
    reply = service.send(
        ("guide/tides.md", MARKDOWN),
        ("plain.txt", "Grüße vom Meer".encode("utf-16")),
        ("page.html", b"<title>t</title><h1>Sea</h1><p>Waves &amp; wind"),
        ("paper.pdf", PDF),
    )
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["status"], body["message"]) == (200, "Data preparation succeeded")
    assert [each["status"] for each in body["files"]] == ["ingested"] * 4
    documents = service.documents()
    assert {name: each["id"] for name, each in documents.items()} == {
        each["name"]: each["document_id"] for each in body["files"]
    }
    passages = service.passages()
    text = MARKDOWN.decode()
    tides = [passage for passage in passages if passage["title"] == "guide/tides.md"]
    assert len(tides) == documents["guide/tides.md"]["passages"] > 2
    assert all(passage["text"] == text[passage["start"] : passage["end"]] for passage in tides)
    assert tides[-1]["section"] == "Tides > Neap"
    found = {passage["title"]: passage for passage in passages if passage["index"] == 0}
    assert found["plain.txt"]["text"] == "Grüße vom Meer"
    assert found["page.html"]["text"] == "Sea\n\nWaves & wind"
    assert [passage["page"] for passage in passages if passage["title"] == "paper.pdf"] == [1, 2]


def test_token_vectors_are_stored(service: Service) -> None:
    service.send(("a.md", b"# A\n\ntext"))
    ids = [passage["id"] for passage in service.passages()]
    reply = httpx.post(f"{service.store}/v1/passages/token_vectors", json={"ids": ids})
    assert set(reply.json()["token_vectors"]) == set(ids)


def test_again_and_replaced(service: Service) -> None:
    first = service.send(("a.md", b"# A\n\nThe old text."))
    ids = [passage["id"] for passage in service.passages()]
    again = service.send(("a.md", b"# A\n\nThe old text."))
    assert [each.json()["files"][0]["status"] for each in (first, again)] == ["ingested", "unchanged"]
    assert [passage["id"] for passage in service.passages()] == ids
    third = service.send(("a.md", b"# A\n\nThe new text."))
    assert [passage["text"] for passage in service.passages()] == ["# A\n\nThe new text."]
    assert [each.json()["files"][0]["replaced"] for each in (first, again, third)] == [0, 0, 1]


def test_metadata_is_stored_and_replaces_what_was(service: Service) -> None:
    text = b"---\nauthor: Ana\ndate: 2026-03-31\n---\n# A\n"
    first = service.send(("a.md", text), metadata='{"author": "Ben", "year": 2026}')
    assert all(
        passage["metadata"] == {"author": "Ben", "date": "2026-03-31", "year": 2026}
        for passage in service.passages()
    )
    again = service.send(("a.md", text), metadata='{"year": 2026, "author": "Ben"}')
    changed = service.send(
        ("a.md", text), ("a.md.meta.json", b'{"author": "Cleo"}'), names=["a.md", "a.md.meta.json"]
    )
    assert [each.json()["files"][0]["status"] for each in (first, again, changed)] == [
        "ingested",
        "unchanged",
        "ingested",
    ]
    assert {passage["metadata"]["author"] for passage in service.passages()} == {"Cleo"}
    refused = service.send(("a.md", text), metadata='{"page": 1}')
    assert refused.status_code == 422
    assert "page is a field of its own" in refused.text


def test_form_fields(service: Service) -> None:
    reply = service.send(
        ("x", MARKDOWN), ("y", b"text"), names=["guide/a.md", "b.txt"], chunk_size="100", chunk_overlap="0"
    )
    assert reply.status_code == 200, reply.text
    passages = service.passages()
    assert {passage["title"] for passage in passages} == {"guide/a.md", "b.txt"}
    assert max(len(passage["text"]) for passage in passages) <= 100
    assert service.send(("a.md", b"text"), collection="other", chunk_size="", link_list="").status_code == 200
    assert set(service.documents("other")) == {"a.md"}
    assert "a.md" not in service.documents()
    assert service.post("/v1/dataprep/delete", json={"file_path": "all", "collection": "other"}).json() == {
        "status": True,
        "documents": 1,
        "passages": 1,
    }


MALFORMED: list[tuple[str, bytes, int, str]] = [
    ("broken.pdf", b"this is not a PDF", 415, "not a PDF"),
    ("truncated.pdf", b"%PDF-1.7\n1 0 obj\n<<", 422, "broken PDF"),
    ("long.pdf", PDF.replace(b"Count 2/Kids[", b"Count 4/Kids[3 0 R 3 0 R "), 413, "4 pages, more than 3"),
    ("empty.md", b"", 422, "empty.md is empty"),
    ("blank.txt", b" \n\t ", 422, "no text"),
    ("binary.txt", bytes(range(256)) * 20, 415, "binary"),
    ("zip.txt", b"PK\x03\x04" + bytes(20), 415, "ZIP"),
    ("program.exe", b"MZ", 415, ".markdown"),
    ("noname", b"text", 415, "no suffix"),
    ("", b"text", 422, "name"),
    ("../escape.md", b"# hello", 422, "escape.md"),
    ("a/../../escape.md", b"# hello", 422, "escape.md"),
    ("/etc/passwd.md", b"# hello", 422, "absolute"),
    ("a\\..\\b.md", b"# hello", 422, "backslash"),
    ("x" * 300 + ".md", b"# hello", 422, "255 bytes"),
    ("big.txt", b"x" * 100_001, 413, "DATAPREP_MAX_FILE_BYTES"),
]


@pytest.mark.parametrize(
    ("name", "content", "status", "words"), MALFORMED, ids=[each[0][:20] for each in MALFORMED]
)
@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_bad_file_is_refused_and_nothing_is_written(
    service: Service, name: str, content: bytes, status: int, words: str, stream: str
) -> None:
    fields = {"names": name} if name else {}
    files = {"files": (name or "upload", content)} if name else None
    if not name:
        boundary = "XX"
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\ntext\r\n--{boundary}--\r\n'
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        reply = service.post("/v1/dataprep/ingest", params={"stream": stream}, content=body, headers=headers)
    else:
        reply = service.post("/v1/dataprep/ingest", params={"stream": stream}, files=files, data=fields)
    assert reply.status_code == status, reply.text
    assert words in error_of(reply)["message"]
    assert service.documents() == {}


@pytest.mark.parametrize("name", ["a\0.md", "a\n.md", "a\x1b.md"])
def test_control_characters_in_a_name(service: Service, name: str) -> None:
    reply = service.send(("x", b"text"), names=name)
    assert (reply.status_code, error_of(reply)["code"]) == (422, "invalid_request")
    assert service.documents() == {}


@pytest.mark.parametrize(
    ("files", "fields", "status", "words"),
    [
        ([], {"chunk_size": "100"}, 415, "multipart"),
        ([("other", ("a.md", b"x"))], {}, 422, "`files`"),
        ([("files", ("a.md", b"x"))], {"chunk_size": "many"}, 422, "chunk_size"),
        ([("files", ("a.md", b"x"))], {"chunk_size": "5"}, 422, "chunk_size"),
        ([("files", ("a.md", b"x"))], {"chunk_size": "1000000000"}, 422, "chunk_size"),
        ([("files", ("a.md", b"x"))], {"chunk_overlap": "-1"}, 422, "chunk_overlap"),
        ([("files", ("a.md", b"x"))], {"chunk_overlap": "400"}, 422, "chunk_overlap"),
        ([("files", ("a.md", b"x"))], {"encoding": "hex"}, 422, "encoding"),
        ([("files", ("a.md", b"x"))], {"strict": "perhaps"}, 422, "strict"),
        ([("files", ("a.md", b"x"))], {"collection": "../etc"}, 422, "collection"),
        ([("files", ("a.md", b"x"))], {"link_list": '["http://10.0.0.1/"]'}, 422, "link_list"),
        ([("files", ("a.md", b"x"))], {"chunksize": "100"}, 422, "chunksize"),
        ([("files", ("a.md", b"x"))], {"names": ["a.md", "b.md"]}, 422, "names"),
        ([("files", (f"{number}.md", b"x")) for number in range(6)], {}, 413, "5 files"),
        ([("files", (f"{number}.txt", b"x" * 99_000)) for number in range(5)], {}, 413, "400000 bytes"),
    ],
)
def test_a_bad_form_is_refused_as_a_whole(
    service: Service, files: Files, fields: dict[str, object], status: int, words: str
) -> None:
    reply = service.post("/v1/dataprep/ingest", files=files, data=fields)
    assert reply.status_code == status, reply.text
    assert words in error_of(reply)["message"]
    assert service.documents() == {}


def test_a_broken_body_is_refused(service: Service) -> None:
    headers = {"content-type": "multipart/form-data; boundary=XX"}
    reply = service.post("/v1/dataprep/ingest", content=b"--XX\r\nnonsense", headers=headers)
    assert (reply.status_code, error_of(reply)["code"]) == (400, "malformed_request")


def test_one_bad_file_does_not_fail_the_rest(service: Service) -> None:
    reply = service.send(
        ("bad.pdf", b"nope"),
        ("good.md", b"# Good\n\ntext"),
        ("good.md", b"again"),
        ("big.txt", b"x" * 100_001),
    )
    assert reply.status_code == 200
    body = reply.json()
    assert [each["status"] for each in body["files"]] == ["failed", "ingested", "failed", "failed"]
    assert [each["error"] and each["error"]["code"] for each in body["files"]] == [
        "unsupported_media",
        None,
        "invalid_request",
        "payload_too_large",
    ]
    assert body["message"].startswith("Data preparation succeeded for 1 of 4 files")
    assert set(service.documents()) == {"good.md"}


def test_where_all_fail_the_reply_is_the_first_error(service: Service) -> None:
    reply = service.send(("bad.pdf", b"nope"), ("empty.md", b""))
    assert (reply.status_code, error_of(reply)["code"]) == (415, "unsupported_media")


def events_of(reply: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    blocks = [block.split("\n") for block in reply.text.split("\n\n") if block]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in blocks]


def test_progress_comes_as_events(service: Service) -> None:
    files = [("files", ("tides.md", MARKDOWN)), ("files", ("bad.pdf", b"nope"))]
    reply = service.post("/v1/dataprep/ingest?stream=true", files=files, data={"chunk_size": "300"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = events_of(reply)
    kinds = [kind for kind, _ in events]
    embedded = [(data["done"], data["total"]) for kind, data in events if kind == "embedded"]
    of_tides = [data["stage"] for _, data in events[:-1] if data["name"] == "tides.md"]
    assert of_tides == ["parsed", *["embedded"] * len(embedded), "stored"]
    assert sorted({*kinds} - {*of_tides}) == ["done", "failed"]
    total = embedded[0][1]
    assert embedded[-1] == (total, total)
    counts = [done for done, _ in embedded]
    assert counts == sorted(set(counts)), "changes in quick succession may come as one"
    assert set(counts) <= {*range(4, total, 4), total}
    [failure] = [data for kind, data in events if kind == "failed"]
    assert failure["error"]["code"] == "unsupported_media"
    assert [each["status"] for each in events[-1][1]["files"]] == ["ingested", "failed"]


def test_a_stream_of_failures_ends_in_an_error_event(service: Service) -> None:
    files = [("files", ("a.pdf", b"nope")), ("files", ("empty.md", b""))]
    events = events_of(service.post("/v1/dataprep/ingest?stream=true", files=files))
    assert [kind for kind, _ in events] == ["failed", "failed", "error"]
    assert events[-1][1]["error"]["code"] == "unsupported_media"


def test_listing_and_deleting(service: Service) -> None:
    service.send(("a.md", b"text a"), ("dir/b.md", b"text b"))
    listed = service.post("/v1/dataprep/get").json()
    assert [each["name"] for each in listed] == ["a.md", "dir/b.md"]
    assert set(listed[0]) == {"name", "id", "type", "parent"}
    assert service.post("/v1/dataprep/get", json={"collection": "nothing"}).json() == []
    reply = service.post("/v1/dataprep/delete", json={"file_path": "dir/b.md"})
    assert reply.json() == {"status": True, "documents": 1, "passages": 1}
    assert service.post("/v1/dataprep/delete", json={"file_path": "dir/b.md"}).status_code == 404
    assert service.post("/v1/dataprep/delete", json={"file_path": "../b.md"}).status_code == 422
    assert service.post("/v1/dataprep/delete", json={"file_path": ""}).status_code == 422
    url = f"{service.url}/v1/documents/{listed[0]['id']}"
    assert httpx.delete(url).json() == {"id": listed[0]["id"], "passages": 1}
    assert httpx.delete(url).status_code == 404
    assert httpx.delete(url, params={"collection": "../x"}).status_code == 422
    assert httpx.get(f"{service.url}/v1/documents", params={"collection": "../x"}).status_code == 422


@pytest.mark.parametrize("down", ["embedding", "retrieval"])
@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_service_that_is_down_is_named(
    serve: Serve, embedding: str, retrieval: str, service: Service, down: str, stream: str, tmp_path: Path
) -> None:
    urls = {"embedding": embedding, "retrieval": retrieval, down: closed_port()}
    broken = Service(serve(create(settings(urls["embedding"], urls["retrieval"], tmp_path))), retrieval)
    broken.send(("warm.txt", b"x"))
    clock = OwnTime()
    reply = broken.post(
        "/v1/dataprep/ingest", params={"stream": stream}, files={"files": ("late.txt", b"text")}
    )
    assert clock.seconds() < 2
    if reply.status_code == 200:  # the file was parsed, so the stream had begun
        [*_, (kind, body)] = events_of(reply)
        assert kind == "error"
        error = body["error"]
    else:
        assert reply.status_code == 503
        error = error_of(reply)
    assert (error["code"], error["service"]) == ("service_unavailable", down)
    assert service.documents() == {}
    ready = httpx.get(f"{broken.url}/health/ready")
    assert ready.status_code == 503
    assert not ready.json()["dependencies"][down]["ready"]


def test_a_failure_midway_leaves_the_document_as_it_was(
    serve: Serve, embedding: str, retrieval: str, service: Service, tmp_path: Path
) -> None:
    """The embedding service fails at the second batch of the replacement."""
    flaky = FastAPI()
    calls = {"count": 0}

    @flaky.post("/v1/encode")
    async def encode(request: Request) -> Response:
        calls["count"] += 1
        if calls["count"] == 3:
            return Response("out of memory", status_code=500)
        return await passed_on(request, embedding)

    broken = Service(serve(create(settings(serve(flaky), retrieval, tmp_path, batch=2))), retrieval)
    assert broken.send(("tides.md", b"# Tides\n\nThe old text.")).status_code == 200
    before = service.passages()
    reply = broken.send(("tides.md", MARKDOWN))
    assert (reply.status_code, error_of(reply)["service"]) == (500, "embedding")
    assert service.passages() == before
    assert broken.send(("tides.md", MARKDOWN)).status_code == 200


def test_a_client_that_hangs_up_is_not_waited_for_and_nothing_is_lost(
    serve: Serve, embedding: str, retrieval: str, service: Service, tmp_path: Path
) -> None:
    """Accepted means done: once the whole body is there the job goes on."""
    slow = FastAPI()
    begun, gone = threading.Event(), threading.Event()

    @slow.post("/v1/encode")
    async def encode(request: Request) -> Response:
        begun.set()
        assert await asyncio.to_thread(gone.wait, 60)
        return await passed_on(request, embedding)

    broken = Service(serve(create(settings(serve(slow), retrieval, tmp_path))), retrieval)
    with socket.create_connection(("127.0.0.1", httpx.URL(broken.url).port), timeout=60) as client:
        upload = httpx.Request(
            "POST", f"{broken.url}/v1/dataprep/ingest", files={"files": ("a.txt", b"text")}
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in upload.headers.items())
        client.sendall(f"POST {upload.url.path} HTTP/1.1\r\n{head}\r\n".encode() + upload.read())
        assert begun.wait(60)
    gone.set()
    assert broken.finished(broken.jobs()[0]["id"])["status"] == "done"
    assert set(service.documents()) == {"a.txt"}


def test_uploads_leave_no_files_behind(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service.send(("a.md", b"text"), ("bad.pdf", b"nope"))
    service.send(("big.txt", b"x" * 100_001))
    service.send(("a.md", b"text"), chunk_size="x")
    assert list(tmp_path.iterdir()) == []


def test_links_are_fetched_where_that_is_allowed_and_never_from_inside(
    serve: Serve, embedding: str, retrieval: str, service: Service, tmp_path: Path
) -> None:
    fetching = Service(serve(create(settings(embedding, retrieval, tmp_path, fetch_urls=True))), retrieval)
    inside = fetching.url + "/health"
    form = {"link_list": (None, json.dumps([inside]))}
    reply = fetching.post("/v1/dataprep/ingest", files=form)
    assert (reply.status_code, error_of(reply)["code"]) == (422, "invalid_request")
    assert "127.0.0.1 is not an address of the internet" in error_of(reply)["message"]
    reply = fetching.send(("a.md", b"text"), link_list=inside)
    assert [each["status"] for each in reply.json()["files"]] == ["ingested", "failed"]
    assert set(service.documents()) == {"a.md"}


def test_the_form_is_documented(service: Service) -> None:
    schema = httpx.get(f"{service.url}/openapi.json").json()
    form = schema["paths"]["/v1/dataprep/ingest"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(form["schema"]["properties"]) == {
        "files",
        "names",
        "link_list",
        "collection",
        "chunk_size",
        "chunk_overlap",
        "encoding",
        "strict",
        "metadata",
        "index_name",
        "process_table",
        "table_strategy",
        "ingest_from_graphDB",
    }
