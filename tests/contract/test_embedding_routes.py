"""The embedding service's routes over real HTTP, with clients that others wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import tei_client
from openai import AsyncOpenAI
from starlette.types import ASGIApp

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.embedding.app import create
from services.embedding.settings import Settings
from tests.contract.refusals import refusal

Serve = Callable[[ASGIApp], str]
MAX_BATCH = 40


@pytest.fixture(scope="module")
def fake_url(serve: Serve) -> str:
    return serve(create(Settings(backend="fake", max_batch=MAX_BATCH)))


@pytest.fixture(scope="module")
def minilm_url(serve: Serve, models_home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        return serve(create(Settings(backend="openvino")))


@pytest.fixture
async def tei(minilm_url: str) -> AsyncIterator[tei_client.HttpClient]:
    client = tei_client.HttpClient(minilm_url)
    yield client
    client.client.close()
    await client.async_client.aclose()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/embed", {"inputs": []}, 422, "cannot be empty"),
        ("/embed", {"inputs": ""}, 422, "cannot be empty"),
        ("/embed", {"inputs": ["fine", ""]}, 422, "text 1"),
        ("/embed", {}, 422, "inputs"),
        ("/embed", {"inputs": 7}, 422, "inputs"),
        ("/embed", {"inputs": "\ud800"}, 422, "inputs"),
        ("/embed", {"inputs": "x", "truncation_direction": "Up"}, 422, "truncation_direction"),
        ("/embed", {"inputs": "x", "prompt_name": "poem"}, 422, "Available prompts"),
        ("/embed", {"inputs": "x", "dimensions": 7}, 422, "dimensions"),
        ("/embed", {"inputs": ["x"] * (MAX_BATCH + 1)}, 413, "batch size 41 > maximum"),
        ("/embed", {"inputs": "word " * 600}, 413, "truncate"),
        ("/embed_all", {"inputs": []}, 422, "cannot be empty"),
        ("/tokenize", {"inputs": []}, 422, "cannot be empty"),
        ("/tokenize", {"inputs": ["x"] * (MAX_BATCH + 1)}, 413, "batch size 41 > maximum"),
        ("/", {"inputs": []}, 422, "cannot be empty"),
        ("/embed", {"inputs": ["a", 5]}, 422, "inputs"),
        ("/embed", {"inputs": [1, -5]}, 422, "inputs"),
        ("/embed", {"inputs": [[1], "a"]}, 422, "inputs"),
        ("/embed", {"inputs": [1.5]}, 422, "inputs"),
        ("/embed", {"inputs": [True]}, 422, "inputs"),
        ("/decode", {"ids": [[1]] * (MAX_BATCH + 1)}, 413, "batch size 41 > maximum"),
        ("/v1/embeddings", {"input": [[1]] * (MAX_BATCH + 1)}, 413, "batch size 41 > maximum"),
        ("/v1/embeddings", {"input": [1, 2]}, 501, "'fake' cannot turn token ids into text"),
        ("/v1/embeddings", {"input": "x", "dimensions": 7}, 422, "`dimensions`: fake gives 384"),
        ("/v1/embeddings", {"input": []}, 422, "cannot be empty"),
        ("/v1/embeddings", {"input": "x", "encoding_format": "hex"}, 422, "encoding_format"),
        ("/v1/encode", {"inputs": []}, 422, "inputs"),
        ("/v1/encode", {"inputs": ["x"], "normalise": True}, 422, "normalise"),
        ("/v1/encode", {"inputs": ["word " * 600], "truncate": False}, 413, "truncate"),
    ],
)
async def test_bad_requests(
    session: aiohttp.ClientSession, fake_url: str, path: str, body: object, status: int, word: str
) -> None:
    told = await refusal(session, fake_url, path, body)
    assert (told.status, told.service) == (status, "embedding")
    assert word in told.message


async def test_invalid_json_is_400(session: aiohttp.ClientSession, fake_url: str) -> None:
    async with session.post(
        fake_url + "/embed", data=b"{", headers={"content-type": "application/json"}
    ) as got:
        assert got.status == 400


async def test_health_readiness_and_metrics(session: aiohttp.ClientSession, fake_url: str) -> None:
    await session.post(fake_url + "/embed", json={"inputs": "hello"})
    for path, expected in [
        ("/health", "ok"),
        ("/health/ready", "fake"),
        ("/metrics", 'ragline_stage_duration_seconds_count{model="fake",service="embedding",stage="embed"}'),
    ]:
        async with session.get(fake_url + path) as reply:
            assert reply.status == 200
            assert expected in await reply.text()


async def test_a_huge_number_of_texts_does_not_starve_a_query(minilm_url: str) -> None:
    async with HttpClient("embedding", minilm_url) as http:
        client = EmbeddingClient(http)
        await client.embed_query("warm up the connection")
        texts = [f"number {number}: " + "some words to embed " * 20 for number in range(256)]
        bulk = asyncio.create_task(client.encode(texts, token_vectors=False))
        await asyncio.sleep(0.02)
        await client.embed_query("how long do I wait?")
        assert not bulk.done()
        assert len((await bulk).embeddings) == 256


async def test_our_client_gets_vectors_and_token_vectors(minilm_url: str) -> None:
    async with HttpClient("embedding", minilm_url) as http:
        client = EmbeddingClient(http)
        reply = await client.encode(["bees make honey", "   "], token_vectors=True)
        query = await client.embed_query("bees make honey")
        info = await client.info()
    assert info.token_vectors
    assert reply.model == info.model_id == "sentence-transformers/all-MiniLM-L6-v2"
    np.testing.assert_allclose(reply.embeddings[0], query, atol=1e-2)
    assert [one.tokens for one in reply.token_vectors or []] == [3, 0]


async def test_our_client_gets_tokens(minilm_url: str) -> None:
    async with HttpClient("embedding", minilm_url) as http:
        tokens = await EmbeddingClient(http).tokenize(["Unbelievable bees", " "])
    assert [(token.text, token.start, token.stop) for token in tokens[0]] == [
        ("Unbelievable", 0, 12),
        ("bees", 13, 17),
    ]
    assert tokens[1] == []


def test_tei_client_speaks_to_it(tei: tei_client.HttpClient) -> None:
    assert tei.health()
    info = tei.info()
    assert info.server_model_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert info.server_model_type is tei_client.ModelType.Embedding
    assert info.max_input_length == 256
    texts = ["bees make honey", "honey from bees", "interest rates rose"]
    vectors = np.array(tei.embed(texts))
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8 > vectors[0] @ vectors[2]
    raw = np.array(tei.embed(texts, normalize=False))
    assert np.linalg.norm(raw, axis=1).min() > 1.5
    states = tei.embed_all(texts)
    assert [np.array(one).shape for one in states] == [(5, 384)] * 3
    np.testing.assert_allclose(np.mean(states[0], axis=0), raw[0], atol=1e-2)


async def test_tei_client_truncates_on_demand(tei: tei_client.HttpClient) -> None:
    assert len(await tei.async_embed("word " * 1000, truncate=True)) == 1
    refused = await tei.async_client.post("/embed", json={"inputs": "word " * 1000, "truncate": False})
    assert refused.status_code == 413


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_the_openai_sdk_speaks_to_it(
    minilm_url: str, tei: tei_client.HttpClient, encoding: str
) -> None:
    async with AsyncOpenAI(base_url=f"{minilm_url}/v1", api_key="none") as client:
        reply = await client.embeddings.create(
            model="any",
            input=["bees make honey", "word " * 1000],
            encoding_format=encoding,  # type: ignore[arg-type]
        )
    expected = await tei.async_embed("bees make honey")
    vector = reply.data[0].embedding
    if isinstance(vector, list):
        np.testing.assert_allclose(vector, expected[0], atol=1e-2)
    assert reply.usage.prompt_tokens == 5 + 256


async def test_token_ids_are_embedded_as_the_text_that_they_stand_for(
    session: aiohttp.ClientSession, minilm_url: str, tei: tei_client.HttpClient
) -> None:
    texts = ["Bees don't make honey; they CURE it (0.5 kg).", "naïve E-4711, v2.3.10 + C++"]
    ids = [[token.id for token in text.tokens] for text in tei.tokenize(texts)]
    expected = np.array(await tei.async_embed(texts))

    async def post(path: str, body: object) -> object:
        async with session.post(minilm_url + path, json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    for path, own in (("/embed", ids), ("/", ids), ("/embed", [text[1:-1] for text in ids])):
        np.testing.assert_allclose(await post(path, {"inputs": own}), expected, atol=1e-2)
    np.testing.assert_allclose(await post("/", {"inputs": texts}), expected, atol=1e-2)
    async with AsyncOpenAI(base_url=f"{minilm_url}/v1", api_key="x") as client:
        one = await client.embeddings.create(input=ids[0], model="m")
        several = await client.embeddings.create(input=ids, model="m", encoding_format="float")
    np.testing.assert_allclose(one.data[0].embedding, expected[0], atol=1e-2)
    assert one.usage.prompt_tokens == len(ids[0])
    np.testing.assert_allclose([item.embedding for item in several.data], expected, atol=1e-2)
    decoded = await post("/decode", {"ids": ids[1], "skip_special_tokens": False})
    assert decoded == ["[CLS] naive e - 4711, v2. 3. 10 + c + + [SEP]"]


async def test_ids_of_another_vocabulary_are_refused_by_name(
    session: aiohttp.ClientSession, minilm_url: str
) -> None:
    told = await refusal(session, minilm_url, "/v1/embeddings", {"input": [101, 53_286, 102]})
    assert told.status == 422
    assert "token id 53286 is not in the model's vocabulary of 30522 tokens" in told.message
    empty = await refusal(session, minilm_url, "/embed", {"inputs": [[101, 2000], [101, 102]]})
    assert (empty.status, empty.message) == (422, "`inputs` cannot be empty: text 1 is")
