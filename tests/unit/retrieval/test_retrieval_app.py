"""The routes, through the real app over the embedded store."""

from __future__ import annotations

import base64
import re

import httpx
import numpy as np
import orjson
import pytest

from services.core.backends import UnknownBackend
from services.core.errors import InvalidRequest
from services.core.wire import encoding
from services.retrieval.app import create
from services.retrieval.settings import Settings

DIM = 4
NOT_BASE64 = {"tokens": 1, "dim": 3, "data": "AA!A"}


@pytest.fixture
async def client(tmp_path):
    app = create(Settings(vector_url=f"edge://{tmp_path}/vectors"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


def offered(id_: str, vector: list[float], **passage: object) -> dict[str, object]:
    return {
        "passage": {"id": id_, "document_id": "doc", "text": f"text of {id_}", "title": "Doc", **passage},
        "vector": vector,
        "token_vectors": {"tokens": 1, "dim": 3, "data": "AQID"},
    }


async def fill(client: httpx.AsyncClient) -> None:
    passages = [offered("a", [1, 0, 0, 0], page=1), offered("b", [1, 1, 0, 0], page=2)]
    reply = await client.post("/v1/passages", json={"model": "m", "passages": passages})
    assert (reply.status_code, reply.json()) == (200, {"count": 2})


async def test_the_whole_life_of_a_document(client):
    await fill(client)
    reply = await client.post("/v1/retrieval", json={"text": "why?", "embedding": [1, 0, 0, 0], "k": 2})
    body = reply.json()
    assert body["initial_query"] == "why?"
    assert [(doc["id"], round(doc["score"], 4)) for doc in body["retrieved_docs"]] == [
        ("a", 1),
        ("b", 0.7071),
    ]
    assert body["retrieved_docs"][0] == {
        **offered("a", [], page=1)["passage"],
        "section": "",
        "start": 0,
        "end": 0,
        "index": 0,
        "revision": "",
        "metadata": {},
        "score": body["retrieved_docs"][0]["score"],
        "sparse_score": None,
        "fused_score": body["retrieved_docs"][0]["fused_score"],
        "rerank_score": None,
        "matched": None,
        "word_share": None,
        "kept": None,
    }

    reply = await client.post(
        "/v1/retrieval", json={"embedding": [1, 0, 0, 0], "filter": {"page": 2}, "score_threshold": 0.5}
    )
    assert [doc["id"] for doc in reply.json()["retrieved_docs"]] == ["b"]
    reply = await client.post("/v1/passages/token_vectors", json={"ids": ["a", "nobody"]})
    assert reply.json() == {"token_vectors": {"a": {"tokens": 1, "dim": 3, "data": "AQID"}}}
    reply = await client.get("/v1/documents", params={"collection": "default"})
    assert reply.json() == {
        "documents": [{"id": "doc", "name": "Doc", "revision": "", "passages": 2, "metadata": {}}]
    }
    reply = await client.get("/v1/collections")
    assert reply.json() == {
        "collections": [{"name": "default", "model": "m", "dim": DIM, "passages": 2, "aliases": []}]
    }

    reply = await client.post("/v1/passages/delete", json={"document_id": "doc"})
    assert (reply.status_code, reply.json()) == (200, {"count": 2})
    assert (await client.get("/v1/documents")).json() == {"documents": []}
    assert (await client.delete("/v1/collections/default")).status_code == 204
    assert (await client.get("/v1/collections")).json() == {"collections": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (
            "/v1/retrieval",
            {"embedding": [1], "collection": "nope"},
            404,
            "collection 'nope' does not exist: ingest",
        ),
        ("/v1/retrieval", {"embedding": [1]}, 422, "1 dimensions, collection 'default' has 4"),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "k": 0}, 422, "k: "),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "k": 10**9}, 422, "k: "),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "collection": "../x"}, 422, "collection: "),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "topk": 3}, 422, "topk: "),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "filter": {"page": {"gtx": 3}}}, 422, "filter.page"),
        ("/v1/retrieval", {"embedding": [1, 0, 0, 0], "filter": {"page": {"gte": "x"}}}, 422, "'page': gte"),
        ("/v1/retrieval", {"text": "why"}, 422, "embedding: missing"),
        ("/v1/passages", {"model": "m", "passages": []}, 422, "passages: "),
        ("/v1/passages", {"model": "other", "passages": [offered("c", [1, 0, 0, 0])]}, 409, "'m' .*'other'"),
        (
            "/v1/passages",
            {"model": "m", "passages": [{**offered("c", [1, 0, 0, 0]), "token_vectors": NOT_BASE64}]},
            422,
            "passages.0.token_vectors.data: .*not base64",
        ),
        ("/v1/passages/token_vectors", {"ids": []}, 422, "ids: "),
        ("/v1/passages/delete", {}, 422, "document_id: "),
    ],
)
async def test_bad_requests_say_what_to_change_and_change_nothing(client, path, body, status, says):
    await fill(client)
    reply = await client.post(path, json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["service"]) == (status, "retrieval")
    assert re.search(says, error["message"])
    assert (await client.get("/v1/collections")).json()["collections"][0]["passages"] == 2


async def test_lone_surrogates_and_invalid_json_are_the_callers_mistake(client):
    await fill(client)
    headers = {"content-type": "application/json"}
    query = b'{"embedding": [1,0,0,0], "filter": {"title": "\\ud800"}}'
    assert (await client.post("/v1/retrieval", content=query, headers=headers)).status_code == 422
    body = orjson.dumps({"model": "m", "passages": [offered("p", [1, 0, 0, 0], text="TEXT")]})
    body = body.replace(b"TEXT", b"\\ud800")
    assert (await client.post("/v1/passages", content=body, headers=headers)).status_code == 422
    assert (await client.post("/v1/retrieval", content=b"{", headers=headers)).status_code == 400


async def test_passages_with_token_vectors_exceed_the_usual_body_limit_and_fit(client):
    raw = np.zeros((200, 384), np.int8)
    data = base64.b64encode(raw.tobytes()).decode()
    passages = [
        {**offered(f"p{i}", [1, i, 0, 0]), "token_vectors": {"tokens": 200, "dim": 384, "data": data}}
        for i in range(100)
    ]
    body = orjson.dumps({"model": "m", "passages": passages})
    assert len(body) > 8 * 2**20
    reply = await client.post("/v1/passages", content=body, headers={"content-type": "application/json"})
    assert reply.json() == {"count": 100}


async def test_messagepack_in_and_out_is_the_same_as_json(client):
    sent = offered("p", [1, 0, 0, 0])
    body = encoding.pack(
        {
            "model": "m",
            "passages": [{**sent, "token_vectors": {"tokens": 1, "dim": 3, "data": b"\x01\x02\x03"}}],
        }
    )
    reply = await client.post("/v1/passages", content=body, headers=encoding.SEND_PACKED)
    assert (reply.status_code, reply.json()) == (200, {"count": 1})
    asked = {"ids": ["p"]}
    text = await client.post("/v1/passages/token_vectors", json=asked)
    assert text.json() == {"token_vectors": {"p": sent["token_vectors"]}}
    packed = await client.post("/v1/passages/token_vectors", json=asked, headers=encoding.ACCEPT_PACKED)
    assert packed.headers["content-type"] == "application/msgpack"
    assert encoding.unpack(packed.content) == {
        "token_vectors": {"p": {"tokens": 1, "dim": 3, "data": b"\x01\x02\x03"}}
    }
    schema = (await client.get("/openapi.json")).json()["paths"]["/v1/passages"]["post"]["requestBody"]
    assert set(schema["content"]) == {"application/json", "application/msgpack"}


@pytest.mark.parametrize(
    ("type_", "body", "status", "says"),
    [
        ("application/msgpack", b"\xc1", 400, "not valid MessagePack"),
        ("application/msgpack", encoding.pack({"model": "m", "passages": []}), 422, "passages: "),
        (
            "application/msgpack",
            encoding.pack({"model": "m", "passages": [{"vector": "x"}]}),
            422,
            "passages.0",
        ),
        ("application/msgpack", encoding.pack([1]), 422, "body: "),
        (
            "text/plain",
            encoding.pack({"model": "m", "passages": []}),
            415,
            "application/json or application/msg",
        ),
        ("text/plain", b'{"model": "m", "passages": []}', 415, "not text/plain"),
        ("", b'{"model": "m", "passages": []}', 415, "without a type"),
    ],
)
async def test_a_body_that_cannot_be_read_says_why(client, type_, body, status, says):
    reply = await client.post("/v1/passages", content=body, headers={"content-type": type_} if type_ else {})
    assert reply.status_code == status
    assert says in reply.json()["error"]["message"]


async def test_readiness_names_the_store(client):
    body = (await client.get("/health/ready")).json()
    assert (body["ready"], list(body["dependencies"])) == (True, ["vector_store"])


async def test_stages_are_measured(client):
    await fill(client)
    text = (await client.get("/metrics")).text
    assert 'ragline_stage_duration_seconds_count{model="m",service="retrieval",stage="upsert"} 1.0' in text


def test_a_body_limit_of_its_own(monkeypatch):
    monkeypatch.setenv("MAX_BODY_BYTES", "5")
    monkeypatch.setenv("RETRIEVAL_MAX_BODY_BYTES", "12345")
    assert Settings.load().max_body_bytes == 12345


def test_a_vector_url_of_no_backend_is_refused_before_anything_starts():
    with pytest.raises(UnknownBackend, match=r"'redish'.*edge, memory, qdrant"):
        create(Settings(vector_url="redish://x"))
    with pytest.raises(InvalidRequest, match="no scheme"):
        create(Settings(vector_url="/srv/vectors"))


async def test_without_a_path_the_store_lives_below_ragline_home(tmp_path, monkeypatch):
    monkeypatch.setenv("RAGLINE_HOME", str(tmp_path))
    app = create(Settings(vector_url="edge:"))
    async with app.router.lifespan_context(app):
        assert (tmp_path / "data" / "vectors" / "catalogue.db").exists()


async def test_a_document_is_staged_published_and_read_around(client):
    await fill(client)
    new = [offered(f"n{i}", [1, i, 0, 0], revision="2", index=i) for i in range(3)]
    reply = await client.post("/v1/passages", json={"model": "m", "passages": new, "staged": True})
    assert reply.json() == {"count": 3}
    assert len((await client.get("/v1/passages")).json()["passages"]) == 2
    wanted = {"document_id": "doc", "revision": "2", "passages": 4}
    reply = await client.post("/v1/documents/publish", json=wanted)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")
    reply = await client.post("/v1/documents/publish", json={**wanted, "passages": 3})
    assert reply.json() == {"count": 2}
    first = (await client.get("/v1/passages", params={"limit": 2})).json()
    second = (await client.get("/v1/passages", params={"limit": 2, "after": first["next"]})).json()
    found = [passage["id"] for page in (first, second) for passage in page["passages"]]
    assert (sorted(found), second["next"]) == (["n0", "n1", "n2"], None)
    reply = await client.post("/v1/passages/neighbours", json={"ids": ["n1"], "before": 1, "after": 0})
    assert [passage["id"] for passage in reply.json()["neighbours"]["n1"]] == ["n0", "n1"]
    both = {"document_id": "doc", "revision": "2", "keep_revision": "1"}
    assert (await client.post("/v1/passages/delete", json=both)).status_code == 422


async def test_an_alias_is_set_switched_and_deleted(client):
    await fill(client)
    assert (await client.put("/v1/aliases/docs", json={"collection": "none"})).status_code == 404
    assert (await client.put("/v1/aliases/default", json={"collection": "default"})).status_code == 409
    assert (await client.put("/v1/aliases/docs", json={"collection": "default"})).status_code == 204
    assert (await client.get("/v1/aliases")).json() == {"aliases": {"docs": "default"}}
    reply = await client.post("/v1/retrieval", json={"embedding": [1, 0, 0, 0], "collection": "docs"})
    assert len(reply.json()["retrieved_docs"]) == 2
    assert (await client.get("/v1/collections")).json()["collections"][0]["aliases"] == ["docs"]
    assert (await client.delete("/v1/collections/default")).status_code == 409
    assert (await client.delete("/v1/aliases/docs")).status_code == 204
    assert (await client.delete("/v1/aliases/docs")).status_code == 404


async def test_words_alone_find_without_an_embedding(client):
    await fill(client)
    reply = await client.post("/v1/retrieval", json={"text": "text of b", "mode": "sparse", "k": 1})
    (found,) = reply.json()["retrieved_docs"]
    assert (found["id"], found["score"]) == ("b", None)
    assert found["sparse_score"] > 0
