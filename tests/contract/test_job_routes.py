"""`/v1/jobs` over HTTP, at dataprep and through the gateway, in front of services with test backends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from services.dataprep.app import create
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import Serve
from tests.contract.test_dataprep import MARKDOWN, Service, error_of, events_of, passed_on, settings


class Switch:
    """In front of the embedding service: answers only while it is on."""

    def __init__(self, embedding: str) -> None:
        self.app = FastAPI()
        self.on = True

        @self.app.post("/v1/encode")
        async def encode(request: Request) -> Response:
            return await passed_on(request, embedding) if self.on else Response("no", 503)


@pytest.fixture(scope="module")
def switch(serve: Serve) -> Switch:
    return Switch(serve(create_embedding(EmbeddingSettings(backend="fake", port=6000))))


@pytest.fixture(scope="module")
def direct(serve: Serve, switch: Switch, tmp_path_factory: pytest.TempPathFactory) -> Service:
    retrieval = serve(create_retrieval(RetrievalSettings(vector_url="memory://")))
    folder = tmp_path_factory.mktemp("dataprep")
    app = create(settings(serve(switch.app), retrieval, folder, batch=2, workers=1, queue=3, max_files=5))
    return Service(serve(app), retrieval)


@pytest.fixture(scope="module")
def gateway(serve: Serve, direct: Service) -> Service:
    return Service(serve(create_gateway(GatewaySettings(dataprep_url=direct.url))), direct.store)


@pytest.fixture(autouse=True)
def clean(direct: Service, switch: Switch) -> Iterator[None]:
    """An embedding service that answers, and afterwards nothing under way or stored."""
    switch.on = True
    yield
    switch.on = True
    direct.post("/v1/dataprep/delete", json={"file_path": "all"})
    assert direct.documents() == {}
    assert [job for job in direct.jobs() if job["finished_at"] is None] == []


@pytest.fixture(params=["direct", "gateway"])
def service(request: pytest.FixtureRequest) -> Service:
    """By itself and through the gateway."""
    found: Service = request.getfixturevalue(request.param)
    return found


def submit(service: Service, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    return service.post("/v1/jobs", files=[("files", file) for file in files], data=fields)


def test_a_job_is_accepted_at_once_and_done_later(service: Service) -> None:
    reply = submit(service, ("guide/a.md", MARKDOWN), ("bad.pdf", b"nope"), ("../c.md", b"x"))
    assert reply.status_code == 202, reply.text
    job = reply.json()
    assert reply.headers["location"] == f"/v1/jobs/{job['id']}"
    assert [file["status"] for file in job["files"]][2] == "failed", "a bad name is known at once"
    done = service.finished(job["id"])
    assert done["status"] == "done"
    assert [file["status"] for file in done["files"]] == ["done", "failed", "failed"]
    good, bad, _ = done["files"]
    assert good["outcome"] == "ingested"
    assert (
        good["passages"]
        == good["embedded"]
        == good["stored"]
        == service.documents()["guide/a.md"]["passages"]
    )
    assert "not a PDF" in bad["error"]["message"]
    assert bad["error"]["request_id"] == job["id"]
    assert set(service.documents()) == {"guide/a.md"}
    again = service.finished(submit(service, ("guide/a.md", MARKDOWN)).json()["id"])
    assert again["files"][0]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("files", "fields", "status", "code"),
    [
        ([("../a.md", b"x")], {}, 422, "invalid_request"),
        ([("a.md", b"x")], {"chunk_size": "1"}, 422, "invalid_request"),
        ([(f"{number}.md", b"x") for number in range(6)], {}, 413, "payload_too_large"),
        ([(f"{number}.md", b"x") for number in range(4)], {}, 429, "rate_limited"),
    ],
)
def test_what_is_refused_makes_no_job(
    service: Service, files: list[tuple[str, bytes]], fields: dict[str, str], status: int, code: str
) -> None:
    before = service.jobs()
    reply = submit(service, *files, **fields)
    assert (reply.status_code, error_of(reply)["code"]) == (status, code)
    assert ("retry-after" in reply.headers) == (status == 429)
    assert service.jobs() == before


def test_a_job_that_is_not_a_form_is_refused(service: Service) -> None:
    assert service.post("/v1/jobs", json={}).status_code == 415


@pytest.mark.parametrize("path", ["/v1/jobs/none", "/v1/jobs/none/events"])
def test_an_unknown_job(service: Service, path: str) -> None:
    assert httpx.get(service.url + path).status_code == 404
    assert httpx.delete(f"{service.url}/v1/jobs/none").status_code == 404
    assert httpx.get(f"{service.url}/v1/jobs", params={"status": "odd"}).status_code == 422
    assert httpx.get(f"{service.url}/v1/jobs", params={"limit": "0"}).status_code == 422


def test_a_service_that_is_down_is_waited_for(service: Service, switch: Switch) -> None:
    """Also the events: the state of now, each change, and the end."""
    switch.on = False
    id_ = submit(service, ("a.md", MARKDOWN), ("b.md", b"# B\n\nOne passage.")).json()["id"]
    events: list[tuple[str, dict[str, Any]]] = []
    with httpx.stream("GET", f"{service.url}/v1/jobs/{id_}/events", timeout=30) as reply:
        kind = ""
        for line in reply.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                events.append((kind, json.loads(value)))
                status = value.count('"waiting"')
                switch.on = switch.on or bool(status)
    kinds = [kind for kind, _ in events]
    assert kinds[0] == "job"
    assert kinds[-1] == "done"
    assert set(kinds[1:-1]) == {"file"}
    states = [data["file"]["status"] for kind, data in events if kind == "file" and data["index"] == 0]
    assert "waiting" in states or events[0][1]["files"][0]["status"] == "waiting"
    assert states[-1] == "done"
    waited = [data["file"] for kind, data in events[1:-1] if data["file"]["status"] == "waiting"]
    reasons = {file["reason"] for file in waited} | {events[0][1]["reason"]} - {""}
    assert reasons == {"embedding answered 503: no"}
    assert events[-1][1] == service.job(id_)
    assert [file["status"] for file in events[-1][1]["files"]] == ["done", "done"]
    again = httpx.get(f"{service.url}/v1/jobs/{id_}/events")
    assert [kind for kind, _ in events_of(again)] == ["job", "done"]


def test_jobs_by_status_and_cancelled(service: Service, switch: Switch) -> None:
    switch.on = False
    waiting = submit(service, ("a.md", MARKDOWN)).json()["id"]
    queued = submit(service, ("b.md", MARKDOWN)).json()["id"]
    assert service.jobs()[0]["id"] == queued
    assert [job["id"] for job in service.jobs(status="queued")] == [queued]
    assert [job["id"] for job in service.jobs(limit="1")] == [queued]
    for id_ in (queued, waiting):
        assert httpx.delete(f"{service.url}/v1/jobs/{id_}").status_code == 200
        assert service.finished(id_)["status"] == "cancelled"
    assert service.documents() == {}


def test_a_document_that_is_deleted_while_it_is_ingested_stays_deleted(
    service: Service, switch: Switch, direct: Service
) -> None:
    service.finished(submit(service, ("a.md", b"# Old\n\nThe old text.")).json()["id"])
    [document] = service.documents().values()
    switch.on = False
    job = submit(service, ("a.md", MARKDOWN)).json()["id"]
    reply = httpx.delete(f"{service.url}/v1/documents/{document['id']}", timeout=20)
    assert (reply.status_code, reply.json()["passages"]) == (200, 1)
    switch.on = True
    ended = service.finished(job)
    assert ended["status"] == "cancelled"
    assert "deleted" in ended["reason"]
    assert service.documents() == {}
    assert direct.passages() == []


def test_a_full_queue_says_when_to_come_back(service: Service, switch: Switch) -> None:
    switch.on = False
    jobs = [submit(service, (f"{number}.md", b"x")).json()["id"] for number in range(3)]
    reply = submit(service, ("late.md", b"x"))
    assert (reply.status_code, error_of(reply)["code"]) == (429, "rate_limited")
    assert int(reply.headers["retry-after"]) > 0
    switch.on = True
    assert {service.finished(job)["status"] for job in jobs} == {"done"}
    assert submit(service, ("late.md", b"x")).status_code == 202
    [service.finished(job["id"]) for job in service.jobs()]


def test_submissions_at_once_are_all_kept_in_order(service: Service) -> None:
    """The last one of each document wins, whatever runs at the same time."""
    last: dict[str, bytes] = {}

    def send(name: str) -> None:
        for turn in range(4):
            text = f"# {name}\n\nVersion {turn} of {name}.".encode()
            while submit(service, (name, text)).status_code == 429:
                threading.Event().wait(0.05)
            last[name] = text

    senders = [threading.Thread(target=send, args=(f"{each}.md",)) for each in "abc"]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    [service.finished(job["id"]) for job in service.jobs(limit="12")]
    found = {passage["title"]: passage["text"].encode() for passage in service.passages()}
    assert found == last


def test_the_synchronous_route_does_not_wait_for_a_service_that_is_down(
    direct: Service, switch: Switch
) -> None:
    switch.on = False
    reply = direct.send(("late.txt", b"text"))
    assert (reply.status_code, error_of(reply)["service"]) == (503, "embedding")
    assert direct.jobs()[0]["status"] == "failed"


def test_what_is_done_is_counted(direct: Service) -> None:
    direct.finished(submit(direct, ("counted.md", b"# One\n\nFile.")).json()["id"])
    metrics = httpx.get(f"{direct.url}/metrics").text
    for line in (
        'ragline_dataprep_files_total{outcome="ingested",service="dataprep"}',
        'ragline_dataprep_jobs_total{outcome="done",service="dataprep"}',
        'ragline_dataprep_retries_total{dependency="embedding",service="dataprep"}',
        'ragline_dataprep_queue_depth{service="dataprep"}',
        'ragline_dataprep_files_running{service="dataprep"}',
    ):
        assert line in metrics


def test_nothing_of_an_upload_is_left_on_the_disk(
    direct: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    submit(direct, ("../refused.md", b"x"))
    [direct.finished(job["id"]) for job in direct.jobs()]
    spools = list(Path(tmp_path_factory.getbasetemp()).glob("dataprep*/jobs/spool"))
    assert spools
    assert [path for spool in spools for path in spool.iterdir()] == []
