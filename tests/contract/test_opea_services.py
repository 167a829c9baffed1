"""Dataprep at the gateway and by itself, and the chain of services, as OPEA's documents and orchestrator call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
from services.dataprep.upload.links import Fetcher, LinkLimits
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import Serve

SUCCEEDED = "Data preparation succeeded"
PAGE = b"<html><body><h1>Tides</h1><p>Tides follow the moon.</p></body></html>"


@dataclass(frozen=True)
class Chain:
    """The addresses of the services; `dataprep` also serves a page for links to point to."""

    embedding: str
    retrieval: str
    reranking: str
    dataprep: str
    gateway: str
    link: str


@pytest.fixture(scope="module")
def chain(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    embedding = serve(create_embedding(EmbeddingSettings(backend="fake")))
    retrieval = serve(create_retrieval(RetrievalSettings(vector_url="memory://")))
    reranking = serve(create_reranking(RerankingSettings(backend="fake")))
    urls = {"embedding_url": embedding, "retrieval_url": retrieval}
    jobs_url = f"sqlite://{tmp_path_factory.mktemp('dataprep')}/jobs"
    app = create_dataprep(DataprepSettings(parsers=1, fetch_urls=True, jobs_url=jobs_url, **urls))
    dataprep = serve(app)
    app.state.fetcher = Fetcher(LinkLimits(100_000, 20, None), allowed=lambda address: True)
    gateway = serve(create_gateway(GatewaySettings(dataprep_url=dataprep, reranking_url=reranking, **urls)))
    return Chain(embedding, retrieval, reranking, dataprep, gateway, f"{serve(_Page())}/guide")


class _Page:
    """An app that answers everything with one page."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            return
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})


@pytest.fixture(params=["gateway", "dataprep"])
def url(request: pytest.FixtureRequest, chain: Chain) -> Iterator[str]:
    """Either door, and nothing stored afterwards."""
    yield getattr(chain, request.param)
    for name in httpx.post(f"{chain.dataprep}/v1/dataprep/indices").json():
        httpx.delete(f"{chain.retrieval}/v1/collections/{name}").raise_for_status()


def post(url: str, path: str, **rest: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/dataprep/{path}", timeout=30, **rest)


def ingest(url: str, *names: str, **fields: str) -> httpx.Response:
    files = [("files", (name, f"All of {name}.".encode())) for name in names]
    return post(url, "ingest", files=files, data=fields)


def listed(url: str, **body: str) -> list[dict[str, Any]]:
    reply = post(url, "get", json=body)
    assert reply.status_code == 200, reply.text
    files: list[dict[str, Any]] = reply.json()
    return files


def delete(url: str, path: str, **body: str) -> httpx.Response:
    return post(url, "delete", json={"file_path": path, **body})


FIELDS: list[dict[str, str]] = [
    {},
    {"chunk_size": "1500", "chunk_overlap": "100"},
    {"process_table": "true", "table_strategy": "hq"},
    {"process_table": "false", "table_strategy": "fast", "ingest_from_graphDB": "false", "index_name": ""},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_files_with_opeas_fields(url: str, fields: dict[str, str]) -> None:
    reply = ingest(url, "one.txt", "two.txt", **fields)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["status"], body["message"]) == (200, SUCCEEDED)
    # without a body, as the curl line sends it, and with what the page sends
    for files in (post(url, "get", headers={"content-type": "application/json"}).json(), listed(url)):
        assert [file["name"] for file in files] == ["one.txt", "two.txt"]
        assert {(file["type"], file["parent"]) for file in files} == {("File", "")}
    assert listed(url, knowledge_base_id="default") == files


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"table_strategy": "llm"}, "table_strategy"),
        ({"table_strategy": "slow"}, "table_strategy"),
        ({"ingest_from_graphDB": "true"}, "ingest_from_graphDB"),
        ({"process_table": "maybe"}, "process_table"),
        ({"chunk_size": "many"}, "chunk_size"),
        ({"index_name": "a", "collection": "b"}, "index_name"),
        ({"pdf_ocr": "true"}, "pdf_ocr"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_refused_by_name(
    url: str, fields: dict[str, str], named: str
) -> None:
    reply = ingest(url, "one.txt", **fields)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]


@pytest.mark.parametrize("form", ["multipart", "urlencoded"])
def test_links(url: str, chain: Chain, form: str) -> None:
    links = json.dumps([chain.link])
    if form == "multipart":
        reply = post(url, "ingest", files=[("link_list", (None, links))])
    else:
        reply = post(url, "ingest", data={"link_list": links})
    assert reply.status_code == 200, reply.text
    assert reply.json()["message"] == SUCCEEDED
    assert len(listed(url)) == 1
    # OPEA names a link's document by the link with .txt after it
    assert delete(url, f"{chain.link}.txt").json()["status"] is True
    assert listed(url) == []


def test_a_broken_urlencoded_form_is_refused(url: str) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert post(url, "ingest", content=b"a=1", headers=kind).status_code == 415
    assert post(url, "ingest", content=b"\xff=1", headers=kind).status_code == 400
    assert post(url, "ingest", content=b"a=" + b"x" * 70_000, headers=kind).status_code == 413


def test_deleting_by_what_get_returned_by_name_by_folder_and_all(url: str) -> None:
    names = ["a.txt", "guide/b.txt", "guide/c.txt", "guides.txt", "d.txt"]
    ingest(url, *names)
    by_name = {file["name"]: file["id"] for file in listed(url)}
    assert delete(url, by_name["a.txt"]).json() == {"status": True, "documents": 1, "passages": 1}
    assert delete(url, "guide").json()["documents"] == 2
    assert [file["name"] for file in listed(url)] == ["d.txt", "guides.txt"]
    assert delete(url, "guides.txt").json()["documents"] == 1
    for gone in ("a.txt", "guide/", "http://nowhere.example/x.txt"):
        reply = delete(url, gone)
        assert reply.status_code == 404
        assert gone in reply.json()["error"]["message"]
    assert delete(url, "all").json()["documents"] == 1
    assert listed(url) == []


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "http://[", "", "a\\b"])
def test_a_path_that_can_mean_nothing_is_refused(url: str, path: str) -> None:
    ingest(url, "one.txt")
    assert delete(url, path).status_code == 422


def test_indices(url: str) -> None:
    assert post(url, "indices").json() == []
    ingest(url, "one.txt", index_name="rag_redis_test")
    ingest(url, "two.txt")
    assert sorted(post(url, "indices").json()) == ["default", "rag_redis_test"]
    assert [file["name"] for file in listed(url)] == ["two.txt"]
    (file,) = listed(url, index_name="rag_redis_test")
    assert (file["name"], file["index_name"]) == ("one.txt", "rag_redis_test")
    assert len(listed(url, index_name="all")) == 2
    assert delete(url, "one.txt").status_code == 404
    assert delete(url, "one.txt", index_name="rag_redis_test").json()["documents"] == 1
    assert post(url, "get", json={"index_name": "a", "collection": "b"}).status_code == 422


QUESTION = "What follows the moon?"


def call(url: str, body: dict[str, Any]) -> Any:
    reply = httpx.post(url, json=body, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_orchestrators_calls_to_each_service(chain: Chain, url: str) -> None:
    """TEI's routes of embedding and reranking, and retrieval's, as ChatQnA's graph calls them in turn."""
    ingest(url, "one.txt", "two.txt")
    vector = call(f"{chain.embedding}/embed", {"inputs": QUESTION})[0]
    parameters = {
        "id": "0c1dd04b31ab87a5468d65f98e33a9f6",
        "search_type": "similarity",
        "k": 4,
        "distance_threshold": None,
        "fetch_k": 20,
        "lambda_mult": 0.5,
        "score_threshold": 0.2,
        "constraints": None,
        "index_name": None,
    }
    found = call(f"{chain.retrieval}/v1/retrieval", {"text": QUESTION, "embedding": vector, **parameters})
    texts = [doc["text"] for doc in found["retrieved_docs"]]
    assert found["initial_query"] == QUESTION
    assert sorted(texts) == ["All of one.txt.", "All of two.txt."]
    ranks = call(f"{chain.reranking}/rerank", {"query": found["initial_query"], "texts": texts})
    assert sorted(rank["index"] for rank in ranks) == [0, 1]


def test_the_replies_of_one_service_are_requests_of_the_next(chain: Chain, url: str) -> None:
    """OPEA's own services in place of TEI's: a text, an embedded text, found texts, the best of them."""
    ingest(url, "one.txt", "two.txt")
    embedded = call(f"{chain.embedding}/v1/embeddings", {"text": QUESTION})
    assert embedded["text"] == QUESTION
    found = call(f"{chain.retrieval}/v1/retrieval", embedded)
    assert len(found["retrieved_docs"]) == 2
    best = call(f"{chain.reranking}/v1/reranking", found)
    assert best["query"] == QUESTION
    assert len(best["documents"]) == 1, "OPEA's top_n where a request has none"
    several = call(f"{chain.embedding}/v1/embeddings", {"text": [QUESTION, "x"]})
    assert [len(vector) for vector in several["embedding"]] == [384, 384]


def test_the_openai_forms_of_each_service(chain: Chain, url: str) -> None:
    ingest(url, "one.txt", "two.txt", index_name="rag-redis")
    for door in (chain.embedding, chain.gateway):
        embedding = call(f"{door}/v1/embeddings", {"input": "Hello, world!"})
        assert embedding["object"] == "list"
        assert len(call(f"{door}/v1/embeddings", {"input": ["Hello", "How are you?"]})["data"]) == 2
        assert call(f"{door}/v1/embeddings", {"text": QUESTION})["text"] == QUESTION
    request = {
        "input": QUESTION,
        "embedding": embedding,
        "index_name": "rag-redis",
        "request_type": "retrieval",
    }
    found = call(f"{chain.retrieval}/v1/retrieval", request)
    assert {"text", "metadata"} <= found["retrieved_docs"][0].keys()
    for docs in (
        [{"text": "Deep Learning is not..."}, {"text": "Deep learning is...", "metadata": {"a": None}}],
        ["Deep Learning is not...", "Deep learning is..."],
    ):
        request = {"input": "What is Deep Learning?", "retrieved_docs": docs, "top_n": 2}
        ranked = call(f"{chain.reranking}/v1/reranking", request)["reranked_docs"]
        assert {doc["text"] for doc in ranked} == {"Deep Learning is not...", "Deep learning is..."}
        assert all(isinstance(doc["score"], float) for doc in ranked)
        request["initial_query"] = request.pop("input")
        assert call(f"{chain.reranking}/v1/reranking", request)["documents"] == [
            doc["text"] for doc in ranked
        ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"search_type": "similarity", "k": 4},
        {"search_type": "similarity_distance_threshold", "k": 4, "distance_threshold": 1.0},
        {"search_type": "similarity_score_threshold", "k": 4, "score_threshold": 0.2},
        {"search_type": "mmr", "k": 4, "fetch_k": 20, "lambda_mult": 0.5},
    ],
)
def test_the_curl_lines_of_the_retriever(chain: Chain, url: str, fields: dict[str, Any]) -> None:
    ingest(url, "one.txt", "two.txt")
    vector = call(f"{chain.embedding}/embed", {"inputs": "All of one.txt."})[0]
    body = {"text": "All of one.txt.", "embedding": vector, **fields}
    found = call(f"{chain.retrieval}/v1/retrieval", body)
    assert found["initial_query"] == "All of one.txt."
    assert found["retrieved_docs"][0]["text"] == "All of one.txt."


def test_the_curl_lines_of_the_embedder_and_the_reranker(chain: Chain) -> None:
    body = {"input": ["Hello, world!", "How are you?"]}
    embedded = call(f"{chain.embedding}/v1/embeddings", {**body, "dimensions": 384})
    assert [len(one["embedding"]) for one in embedded["data"]] == [384, 384]
    # a vector that is cut off means nothing for a model that was not made for it
    refused = httpx.post(f"{chain.embedding}/v1/embeddings", json={**body, "dimensions": 100})
    assert (refused.status_code, "dimensions" in refused.text) == (422, True)
    docs = [{"text": "Deep Learning is not..."}, {"text": "Deep learning is..."}]
    body = {"initial_query": "What is Deep Learning?", "retrieved_docs": docs}
    assert len(call(f"{chain.reranking}/v1/reranking", body)["documents"]) == 1
    assert len(call(f"{chain.reranking}/v1/reranking", {**body, "top_n": 2})["documents"]) == 2


def test_constraints_are_refused_by_name(chain: Chain) -> None:
    body = {"text": "q", "embedding": [1.0] * 384, "constraints": {"a": 1}}
    reply = httpx.post(f"{chain.retrieval}/v1/retrieval", json=body)
    assert reply.status_code == 422
    assert "constraints" in reply.json()["error"]["message"]


def test_every_service_has_opeas_health_check_and_statistics(chain: Chain) -> None:
    names = {
        "embedding": "embedding",
        "retrieval": "retrievers",
        "reranking": "reranking",
        "dataprep": "dataprep",
    }
    for service, theirs in names.items():
        url = getattr(chain, service)
        assert "Service Title" in httpx.get(f"{url}/v1/health_check").json()
        assert set(httpx.get(f"{url}/v1/statistics").json()) == {f"opea_service@{theirs}"}
