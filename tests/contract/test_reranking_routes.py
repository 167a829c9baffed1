"""The reranking service's routes over real HTTP, with clients that others wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import tei_client
from fastapi import FastAPI
from starlette.types import ASGIApp

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.reranking import RerankingClient
from services.core.tei import TeiError
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import TokenVectorsReply, TokenVectorsRequest
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.reranking.app import create
from services.reranking.settings import Settings
from tests.contract.refusals import refusal

Serve = Callable[[ASGIApp], str]
MAX_BATCH = 10
QUERY = "What do bees turn into honey?"
TEXTS = ["The bank raised its rates.", "Bees turn nectar into honey.", "Honey is sold in jars."]


class Store:
    """A stand-in for the retrieval service that counts."""

    def __init__(self) -> None:
        self.stored: dict[str, TokenVectors] = {}
        self.asked = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/health")
        async def health() -> None:
            return

        @app.post("/v1/passages/token_vectors")
        async def token_vectors(body: TokenVectorsRequest) -> TokenVectorsReply:
            self.asked += 1
            found = {one: self.stored[one] for one in body.ids if one in self.stored}
            return TokenVectorsReply(token_vectors=found)

        return app


@pytest.fixture(scope="module")
def fake_url(serve: Serve) -> str:
    return serve(create(Settings(backend="fake", max_batch=MAX_BATCH)))


@pytest.fixture(scope="module")
def store() -> Store:
    return Store()


@pytest.fixture(scope="module")
def embedding_url(serve: Serve, models_home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        return serve(create_embedding(EmbeddingSettings(backend="openvino")))


@pytest.fixture(scope="module")
def real_url(serve: Serve, store: Store, embedding_url: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDDING_URL", embedding_url)
        patch.setenv("RETRIEVAL_URL", serve(store.app()))
        return serve(create(Settings()))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def docs(count: int, **fields: object) -> list[dict[str, object]]:
    return [{"id": str(index), "document_id": "d", "text": "t", **fields} for index in range(count)]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/rerank", {"query": "q", "texts": []}, 422, "texts"),
        ("/rerank", {"query": "", "texts": ["a"]}, 422, "cannot be empty"),
        ("/rerank", {"texts": ["a"]}, 422, "query"),
        ("/rerank", {"query": "q", "texts": ["\udc00"]}, 422, "Unicode"),
        ("/rerank", {"query": "q", "texts": ["a"] * (MAX_BATCH + 1)}, 413, "batch size 11 > maximum"),
        ("/v1/reranking", {"initial_query": "q", "retrieved_docs": []}, 422, "retrieved_docs"),
        ("/v1/reranking", {"initial_query": " ", "retrieved_docs": docs(1)}, 422, "cannot be empty"),
        ("/v1/reranking", {"initial_query": "q", "retrieved_docs": docs(1, title="\ud800")}, 422, "Unicode"),
        ("/v1/reranking", {"initial_query": "q", "retrieved_docs": docs(1), "top_n": 0}, 422, "top_n"),
        ("/v1/reranking", {"initial_query": "q", "retrieved_docs": docs(1), "topn": 1}, 422, "topn"),
        ("/v1/reranking", {"initial_query": "q", "retrieved_docs": docs(MAX_BATCH + 1)}, 413, "batch size"),
    ],
)
async def test_bad_requests(
    session: aiohttp.ClientSession, fake_url: str, path: str, body: object, status: int, word: str
) -> None:
    told = await refusal(session, fake_url, path, body)
    assert (told.status, told.service) == (status, "reranking")
    assert word in told.message


async def test_teis_reply(session: aiohttp.ClientSession, fake_url: str) -> None:
    request: dict[str, object] = {"query": "bees honey", "texts": ["none", "bees", "bees honey", "bees"]}
    async with session.post(fake_url + "/rerank", json={**request, "raw_scores": True}) as reply:
        assert await reply.json() == [
            {"index": 2, "score": 1.0},
            {"index": 1, "score": 0.5},
            {"index": 3, "score": 0.5},
            {"index": 0, "score": 0.0},
        ]
    async with (
        session.post(fake_url + "/", json=request) as at_root,
        session.post(fake_url + "/rerank", json=request) as reply,
    ):
        assert await at_root.json() == await reply.json()
    async with session.post(fake_url + "/", json={"query": "q", "texts": []}) as reply:
        assert (reply.status, (await reply.json())["error_type"]) == (422, "Validation")
    async with session.post(fake_url + "/rerank", json={**request, "return_text": True}) as reply:
        ranks = await reply.json()
    assert [rank["text"] for rank in ranks] == ["bees honey", "bees", "bees", "none"]
    assert [rank["score"] for rank in ranks] == sorted((rank["score"] for rank in ranks), reverse=True)
    assert all(0 < rank["score"] < 1 for rank in ranks)


async def test_top_n_cuts(session: aiohttp.ClientSession, fake_url: str) -> None:
    body = {"initial_query": "t", "retrieved_docs": docs(5), "top_n": 2}
    async with session.post(fake_url + "/v1/reranking", json=body) as reply:
        parsed = await reply.json()
    assert [result["index"] for result in parsed["results"]] == [0, 1]
    assert parsed["model"] == "fake"


def test_tei_client_speaks_to_it(real_url: str) -> None:
    client = tei_client.HttpClient(real_url)
    assert client.health()
    assert client.info().server_model_type is tei_client.ModelType.Reranker
    result = client.rerank(QUERY, TEXTS, return_text=True)
    assert [rank.index for rank in result.ranks] == [1, 2, 0]
    assert result.ranks[0].text == TEXTS[1]
    client.client.close()


async def test_stored_token_vectors_are_used_and_kept(
    real_url: str, embedding_url: str, store: Store
) -> None:
    passages = [
        Passage(id=f"stored-{index}", document_id="d", text=text, score=0.5)
        for index, text in enumerate(TEXTS)
    ]
    async with HttpClient("embedding", embedding_url) as http:
        reply = await EmbeddingClient(http).encode(TEXTS, token_vectors=True)
    assert reply.token_vectors is not None
    # stored under the next passage's id: only a reranker that uses them ranks the wrong passage first
    store.stored = {f"stored-{(index + 1) % 3}": vectors for index, vectors in enumerate(reply.token_vectors)}
    before = store.asked
    async with HttpClient("reranking", real_url) as http:
        client = RerankingClient(http)
        ranked = await client.rerank(QUERY, passages, top_n=3, collection="c")
        again = await client.rerank(QUERY, passages, top_n=3, collection="c")
    assert ranked == again
    assert ranked[0].index == 2
    assert store.asked == before + 1


async def test_readiness_names_both_dependencies(session: aiohttp.ClientSession, real_url: str) -> None:
    async with session.get(real_url + "/health/ready") as reply:
        assert reply.status == 200
        assert set((await reply.json())["dependencies"]) == {"embedding", "retrieval"}


async def test_a_dependency_that_is_down_is_named(
    session: aiohttp.ClientSession, serve: Serve, embedding_url: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDDING_URL", "http://127.0.0.1:9")
        patch.setenv("RETRIEVAL_URL", "http://127.0.0.1:9")
        url = serve(create(Settings()))
    async with session.get(url + "/health/ready") as reply:
        assert reply.status == 503
    async with session.post(url + "/rerank", json={"query": "q", "texts": ["a"]}) as reply:
        assert reply.status == 503
        error = TeiError.model_validate_json(await reply.read())
    assert "embedding is down" in error.error
    assert (error.service, error.error_type) == ("embedding", "Unhealthy")


async def test_without_token_vectors_sentences_are_chosen_by_words_alone(fake_url: str) -> None:
    async with HttpClient("reranking", fake_url) as http:
        client = RerankingClient(http)
        passage = Passage(id="p", document_id="d", text=TEXTS[1])
        assert await client.sentence_cosines(QUERY, [passage], [[(0, 4)]], collection="default") is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"spans": []}, "spans"),
        ({"spans": [[[-1, 4]]]}, "spans"),
        ({"spans": [[[0, 2**70]]]}, "spans"),
        ({"passages": []}, "passages"),
        ({"top_n": 3}, "top_n"),
    ],
)
async def test_what_is_no_list_of_sentences_is_refused(
    fake_url: str, change: dict[str, object], word: str
) -> None:
    passage = {"id": "p", "document_id": "d", "text": TEXTS[1]}
    body = {"query": QUERY, "passages": [passage], "spans": [[[0, 4]]]} | change
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{fake_url}/v1/sentences", json=body) as reply,
    ):
        assert reply.status == 422
        assert word in (await reply.json())["error"]["message"]
