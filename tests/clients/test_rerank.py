"""`/v1/rerank`: by Cohere's SDK, and by the schema that Jina publishes for its reply."""

from __future__ import annotations

import httpx
import pytest

pytest.importorskip("cohere", reason="needs the clients' environment: make test-clients")

import cohere

from tests.clients.expected import KEY

DOCUMENTS = ["Snow is cold.", "Bees make honey.", "Ants dig tunnels."]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_documents_come_best_first_by_coheres_sdk(gateway: str, version: str) -> None:
    if version == "v2":
        client = cohere.ClientV2(api_key=KEY, base_url=gateway)
    else:
        client = cohere.Client(api_key=KEY, base_url=gateway)
    reply = client.rerank(model="rerank-v3.5", query="bees honey", documents=DOCUMENTS, top_n=2)
    scores = [one.relevance_score for one in reply.results]
    assert {one.index for one in reply.results} <= {0, 1, 2}
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_option_is_refused_in_words(gateway: str) -> None:
    client = cohere.ClientV2(api_key=KEY, base_url=gateway)
    with pytest.raises(cohere.UnprocessableEntityError, match="max_tokens_per_doc"):
        client.rerank(model="m", query="q", documents=DOCUMENTS, max_tokens_per_doc=9)


def test_jinas_reply_has_what_its_schema_requires(gateway: str) -> None:
    body = {
        "model": "jina-reranker-v2",
        "query": "bees honey",
        "documents": DOCUMENTS,
        "return_documents": True,
    }
    reply = httpx.post(f"{gateway}/v1/rerank", json=body, timeout=60).json()
    assert reply["model"]
    for one in reply["results"]:
        assert isinstance(one["index"], int)
        assert isinstance(one["relevance_score"], float)
        assert one["document"]["text"] == DOCUMENTS[one["index"]]


@pytest.mark.parametrize("provider", ["jina_ai", "cohere"])
def test_documents_come_best_first_by_litellm(gateway: str, provider: str) -> None:
    litellm = pytest.importorskip("litellm")
    base = f"{gateway}/v1/rerank" if provider == "jina_ai" else gateway
    reply = litellm.rerank(
        model=f"{provider}/rerank",
        query="bees honey",
        documents=DOCUMENTS,
        top_n=2,
        api_base=base,
        api_key=KEY,
    )
    scores = [one["relevance_score"] for one in reply.results]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
