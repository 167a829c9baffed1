"""Every reranker against the protocol; a new file in `backends/` is tested by itself.

`late_interaction` runs on the real model behind the real embedding service. `tei` talks to a stand-in on
loopback, or to a real server named by TEI_RERANKING_TEST_URL. Any other backend is created from the
environment as it is, and skipped where it says that it cannot serve.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from services.core.backends import load, names
from services.core.errors import PayloadTooLarge, ServiceUnavailable
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import TokenVectorsReply, TokenVectorsRequest
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.reranking.backend import PACKAGE, Reranker

Serve = Callable[[ASGIApp], str]
SERVER_BATCH = 3
QUERY = "How do bees make honey?"
TEXTS = [
    "The central bank raised interest rates again.",
    "Mountains are formed by the movement of tectonic plates.",
    "Bees make honey: they turn nectar into it and store it in the hive.",
    "The train to the coast leaves at noon.",
    "A hive is home to thousands of bees.",
]


def tei_stand_in() -> FastAPI:
    """A cross-encoder's `/rerank`: logits, best first, with limits on the batch and on the length."""
    app = FastAPI()

    @app.get("/health")
    async def health() -> None:
        return

    @app.get("/info")
    async def info() -> dict[str, object]:
        labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        return {
            "model_id": "stand-in",
            "model_type": {"reranker": labels},
            "max_client_batch_size": SERVER_BATCH,
        }

    @app.post("/rerank")
    async def rerank(request: Request) -> JSONResponse:
        body = await request.json()
        if len(body["texts"]) > SERVER_BATCH:
            return JSONResponse({"error": "batch size > maximum", "error_type": "Validation"}, 422)
        if not body["truncate"] and any(len(text.split()) > 512 for text in body["texts"]):
            return JSONResponse({"error": "must have less than 512 tokens", "error_type": "Validation"}, 413)
        assert body["raw_scores"] is True
        wanted = set(re.findall(r"\w+", body["query"].lower()))
        scores = [
            {"index": index, "score": 3.0 * len(wanted & set(re.findall(r"\w+", text.lower()))) - 5}
            for index, text in enumerate(body["texts"])
        ]
        return JSONResponse(sorted(scores, key=lambda rank: -cast(float, rank["score"])))

    return app


def retrieval_stand_in() -> FastAPI:
    """A store without token vectors, but for what a test puts on `app.state.stored`."""
    app = FastAPI()
    app.state.stored = {}

    @app.get("/health")
    async def health() -> None:
        return

    @app.post("/v1/passages/token_vectors")
    async def token_vectors(body: TokenVectorsRequest) -> TokenVectorsReply:
        stored: dict[str, TokenVectors] = app.state.stored
        return TokenVectorsReply(token_vectors={one: stored[one] for one in body.ids if one in stored})

    return app


@pytest.fixture(scope="module")
def embedding_url(serve: Serve, models_home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        return serve(create_embedding(EmbeddingSettings(backend="openvino")))


@pytest.fixture(params=names(PACKAGE))
async def reranker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> AsyncIterator[Reranker]:
    match request.param:
        case "late_interaction":
            monkeypatch.setenv("EMBEDDING_URL", request.getfixturevalue("embedding_url"))
            monkeypatch.setenv("RETRIEVAL_URL", serve(retrieval_stand_in()))
        case "tei":
            url = os.environ.get("TEI_RERANKING_TEST_URL") or serve(tei_stand_in())
            monkeypatch.setenv("TEI_RERANKING_ENDPOINT", url)
    module = load(PACKAGE, request.param)
    created = cast(Reranker, await module.create())  # type: ignore[attr-defined]
    try:
        await created.ready()
    except ServiceUnavailable as error:
        await created.close()
        pytest.skip(f"{request.param} cannot serve here: {error.message}")
    yield created
    await created.close()


def passages(texts: list[str], *, scores: list[float] | None = None) -> list[Passage]:
    return [
        Passage(id=f"p{index}", document_id="d", text=text, score=scores[index] if scores else None)
        for index, text in enumerate(texts)
    ]


async def test_one_finite_score_per_passage_the_same_each_time(reranker: Reranker) -> None:
    first = await reranker.score(QUERY, passages(TEXTS), collection="c")
    assert len(first) == len(TEXTS)
    assert all(abs(score) < 1e6 for score in first)
    assert await reranker.score(QUERY, passages(TEXTS), collection="c") == pytest.approx(first)
    assert reranker.model


async def test_the_best_passage_is_first_unless_the_order_is_kept(reranker: Reranker) -> None:
    scores = await reranker.score(QUERY, passages(TEXTS), collection=None)
    assert all(isinstance(score, float) for score in scores)
    best = max(range(len(scores)), key=scores.__getitem__)
    if reranker.model == "none":
        assert scores == sorted(scores, reverse=True)
    else:
        assert best == 2


async def test_dense_scores_may_come_along(reranker: Reranker) -> None:
    scores = await reranker.score(QUERY, passages(TEXTS, scores=[0.1, 0.05, 0.8, 0.02, 0.5]), collection="c")
    assert len(scores) == len(TEXTS)
    if reranker.model != "none":
        assert scores.index(max(scores)) == 2


async def test_a_single_passage_and_one_without_words(reranker: Reranker) -> None:
    assert len(await reranker.score(QUERY, passages(["Bees."]), collection="c")) == 1
    assert len(await reranker.score(QUERY, passages(["Bees.", " "]), collection="c")) == 2


async def test_calls_do_not_mix(reranker: Reranker) -> None:
    queries = [QUERY, "When does the train leave?", "interest rates of the bank", "mountains and plates"]
    alone = [await reranker.score(query, passages(TEXTS), collection="c") for query in queries]
    at_once = await asyncio.gather(
        *(reranker.score(query, passages(TEXTS), collection="c") for query in queries)
    )
    for one, other in zip(alone, at_once, strict=True):
        assert one == pytest.approx(other)


async def test_long_texts_are_truncated_or_refused(reranker: Reranker) -> None:
    texts = passages(["honey " * 2000, *TEXTS])
    assert len(await reranker.score(QUERY, texts, collection="c")) == len(texts)
    if reranker.model in {"none", "fake"}:
        return  # without a limit
    with pytest.raises(PayloadTooLarge):
        await reranker.score("another", passages(["bee " * 2000, *TEXTS]), collection=None, truncate=False)


async def test_every_dependency_is_named_and_answers(reranker: Reranker) -> None:
    for name, check in reranker.dependencies().items():
        assert name
        await check()
