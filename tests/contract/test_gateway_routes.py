"""The gateway's other routes as clients of OpenAI, Cohere and Jina call them, and pages of other origins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from openai import NotFoundError, OpenAI, UnprocessableEntityError
from pydantic import ValidationError
from starlette.types import ASGIApp

from services.gateway.settings import Settings
from tests.contract.gateway_chain import TEXTS, ScriptedEngine, start_gateway

PAGE = "http://localhost:3000"


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str]) -> str:
    return start_gateway(
        serve, ScriptedEngine(), ["talker"], cors_origins=f"{PAGE}, https://chat.example.org"
    )


@pytest.fixture(scope="module")
def closed(serve: Callable[[ASGIApp], str]) -> str:
    """A gateway as it is by itself."""
    return start_gateway(serve, ScriptedEngine(), [])


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "entry"), [("small", "small"), ("tiny", "small"), ("talker:direct", "talker:direct")]
)
def test_one_model_by_its_names(client: OpenAI, name: str, entry: str) -> None:
    assert client.models.retrieve(name).id == entry


def test_an_unknown_model_is_a_404(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        client.models.retrieve("nobody")
    with pytest.raises(NotFoundError):
        client.models.retrieve("a/b")


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(client: OpenAI, url: str, encoding: str) -> None:
    reply = client.embeddings.create(model="", input=TEXTS, encoding_format=encoding)  # type: ignore[arg-type]
    assert [one.index for one in reply.data] == [0, 1]
    assert reply.usage.prompt_tokens > 0
    assert len(client.embeddings.create(model="", input="Bees").data) == 1
    with pytest.raises(UnprocessableEntityError, match="task"):
        client.embeddings.create(model="", input="Bees", extra_body={"task": "retrieval"})


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_rerank(url: str, path: str) -> None:
    documents = [TEXTS[1], {"text": TEXTS[0]}, "Snow is cold."]
    body = {"model": "rerank-v3.5", "query": "bees honey", "documents": documents, "top_n": 2}
    reply = httpx.post(f"{url}{path}", json=body, timeout=60).json()
    scores = [one["relevance_score"] for one in reply["results"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all("document" not in one for one in reply["results"])
    assert reply["model"] == "fake", "the reranker's, whatever the request names"
    reply = httpx.post(f"{url}{path}", json={**body, "return_documents": True}, timeout=60).json()
    for one in reply["results"]:
        wanted = documents[one["index"]]
        assert one["document"]["text"] == (wanted if isinstance(wanted, str) else wanted["text"])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"documents": []}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"rank_fields": ["a"]}, "rank_fields"),
        ({"truncation": False}, "truncation"),
    ],
)
def test_a_wrong_rerank_is_refused_by_name(url: str, changes: dict[str, object], named: str) -> None:
    reply = httpx.post(f"{url}/v1/rerank", json={"query": "q", "documents": ["a"], **changes}, timeout=60)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]
    assert reply.json()["detail"] == reply.json()["error"]["message"], "for Jina's clients"


ASKS = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def test_pages_of_the_origins_that_are_named_may_call(url: str) -> None:
    asked = httpx.options(f"{url}/v1/chat/completions", headers=ASKS)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "authorization" in asked.headers["access-control-allow-headers"]
    for status, body in (
        (422, {}),
        (404, {"model": "nobody", "messages": [{"role": "user", "content": "q"}]}),
    ):
        reply = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"origin": PAGE}, timeout=60)
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, PAGE)
        assert "x-request-id" in reply.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-credentials" not in asked.headers


def test_other_origins_may_not(url: str, closed: str) -> None:
    for gateway, origin in ((url, "https://evil.example"), (closed, PAGE)):
        asked = httpx.options(f"{gateway}/v1/chat/completions", headers={**ASKS, "origin": origin})
        assert asked.status_code >= 400
        assert "access-control-allow-origin" not in asked.headers
        reply = httpx.get(f"{gateway}/v1/models", headers={"origin": origin}, timeout=60)
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("origins", ["localhost:3000", "https://a.example/path", "https://*.example"])
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=origins)
