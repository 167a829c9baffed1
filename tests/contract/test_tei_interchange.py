"""Others' clients of text-embeddings-inference on our services, and our client on a plain TEI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import tei_client
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from huggingface_hub import InferenceClient
from starlette.types import ASGIApp
from tei_client.models import TruncationDirection

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.errors import RateLimited, ServiceError
from services.core.wire.embedding import Direction
from services.embedding.app import create as create_embedding
from services.embedding.backend import EncodedTexts
from services.embedding.backends.fake import FakeEmbedding
from services.embedding.backends.fake import Settings as FakeSettings
from services.embedding.settings import Settings as EmbeddingSettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings

Serve = Callable[[ASGIApp], str]
TEXTS = ["bees make honey", "honey from bees", "interest rates rose"]


@pytest.fixture(scope="module")
def minilm_url(serve: Serve, models_home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        patch.setenv("EMBEDDING_QUEUE_TOKENS", "1024")
        settings = EmbeddingSettings(cache_bytes=0, query_prefix="search: ", passage_prefix="page: ")
        return serve(create_embedding(settings))


@pytest.fixture
async def tei(minilm_url: str) -> AsyncIterator[tei_client.HttpClient]:
    client = tei_client.HttpClient(minilm_url)
    yield client
    client.client.close()
    await client.async_client.aclose()


async def test_embedding_sync_and_async(tei: tei_client.HttpClient) -> None:
    vectors = np.array(tei.embed(TEXTS))
    np.testing.assert_allclose(await tei.async_embed(TEXTS), vectors, atol=1e-2)
    assert (await tei.async_info()).server_model_type is tei_client.ModelType.Embedding
    assert len(await tei.async_embed_all(TEXTS)) == 3


async def test_prompts_are_listed_and_put_before_the_text(tei: tei_client.HttpClient) -> None:
    assert tei.prompt_names() == await tei.async_prompt_names() == ["query", "passage"]
    named, spelled = tei.embed("bees", prompt_name="query"), tei.embed("search: bees")
    np.testing.assert_allclose(named, spelled, atol=1e-2)
    tokenized = tei.tokenize("bees", add_special_tokens=False, prompt_name="passage")
    assert [token.text for token in tokenized[0].tokens] == ["page", ":", "bees"]


async def test_tokens_sync_and_async(tei: tei_client.HttpClient) -> None:
    result = tei.tokenize(["Unbelievable bees"])[0]
    assert [(token.text, token.start, token.stop) for token in result.tokens] == [
        ("[CLS]", None, None),
        ("Unbelievable", 0, 12),
        ("bees", 13, 17),
        ("[SEP]", None, None),
    ]
    assert (await tei.async_tokenize("Unbelievable bees"))[0] == result


async def test_truncation_keeps_the_side_that_is_asked_for(tei: tei_client.HttpClient) -> None:
    long = "honey " * 300 + "interest rates rose " * 80
    right = tei.embed(long, truncate=True)
    left = tei.embed(long, truncate=True, truncation_direction=TruncationDirection.Left)
    rates = np.array(tei.embed("interest rates rose"))[0]
    assert np.array(left)[0] @ rates > np.array(right)[0] @ rates + 0.3


async def test_reranking_sync_and_async(serve: Serve) -> None:
    client = tei_client.HttpClient(serve(create_reranking(RerankingSettings(backend="fake"))))
    result = client.rerank("bees honey", TEXTS, raw_scores=True)
    assert [rank.index for rank in result.ranks] == [0, 1, 2]
    assert await client.async_rerank("bees honey", TEXTS, raw_scores=True) == result
    refused = client.client.post("/rerank", json={"query": "q", "texts": []})
    assert refused.status_code == 422
    assert refused.json()["error_type"] == "Validation"
    client.client.close()
    await client.async_client.aclose()


async def test_the_hubs_client_extracts_features(minilm_url: str, tei: tei_client.HttpClient) -> None:
    client = InferenceClient(base_url=f"{minilm_url}/embed")
    vectors = await asyncio.to_thread(client.feature_extraction, "bees make honey", normalize=True)
    np.testing.assert_allclose(vectors, await tei.async_embed("bees make honey"), atol=1e-2)


async def test_too_much_waiting_is_teis_429(minilm_url: str) -> None:
    texts = [f"{number} " + "honey from the bees " * 20 for number in range(64)]
    async with aiohttp.ClientSession() as session, HttpClient("embedding", minilm_url) as http:

        async def embed() -> tuple[int, str, str]:
            async with session.post(minilm_url + "/embed", json={"inputs": texts}) as reply:
                body = await reply.json()
                kind = body["error_type"] if reply.status != 200 else ""
                return reply.status, kind, reply.headers.get("retry-after", "")

        replies = await asyncio.gather(*(embed() for _ in range(6)))
        # one is in the engine or the queue, and the queue has room for no second one
        assert {status for status, _, _ in replies} == {200, 429}
        refused = [(kind, int(after)) for status, kind, after in replies if status == 429]
        assert all(kind == "Overloaded" and after >= 1 for kind, after in refused)
        client = EmbeddingClient(http)
        work = [client.encode(texts, token_vectors=False) for _ in range(6)]
        results = await asyncio.gather(*work, return_exceptions=True)
    errors = [one for one in results if isinstance(one, BaseException)]
    assert errors
    assert all(isinstance(one, RateLimited) and (one.retry_after or 0) >= 1 for one in errors)


class Broken(FakeEmbedding):
    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        raise ServiceError("the embedding engine failed: out of cores")


async def test_a_model_that_fails_is_teis_424_and_our_own_502(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create() -> Broken:
        return Broken(FakeSettings())

    monkeypatch.setattr("services.embedding.backends.fake.create", create)
    url = serve(create_embedding(EmbeddingSettings(backend="fake")))
    async with aiohttp.ClientSession() as session:
        async with session.post(url + "/embed", json={"inputs": "x"}) as reply:
            assert reply.status == 424
            assert (await reply.json())["error_type"] == "Backend"
        async with session.post(url + "/v1/encode", json={"inputs": ["x"]}) as reply:
            assert reply.status == 502
    async with HttpClient("embedding", url) as http:
        with pytest.raises(ServiceError, match="out of cores"):
            await EmbeddingClient(http).embed_query("x")


async def test_our_client_does_without_prompts_where_a_tei_has_none(serve: Serve) -> None:
    app = FastAPI()
    asked: list[object] = []

    @app.post("/embed")
    async def embed(request: Request) -> JSONResponse:
        body = await request.json()
        asked.append(body.get("prompt_name"))
        if body.get("prompt_name"):
            error = "`default-prompt-name` is set to `query` but no prompts were found"
            return JSONResponse({"error": error, "error_type": "Validation"}, 413)
        return JSONResponse([[1.0, 0.0]])

    async with HttpClient("embedding", serve(app)) as http:
        client = EmbeddingClient(http)
        assert await client.embed_query("one") == [1.0, 0.0]
        assert await client.embed_query("two") == [1.0, 0.0]
    assert asked == ["query", None, None]
