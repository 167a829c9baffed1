"""Every embedding backend against the protocol; a new file in `backends/` is tested by itself.

`openvino` runs the real model. `tei` and `openai` talk to a stand-in on loopback, or to a real server
named by TEI_EMBEDDING_TEST_URL or OPENAI_EMBEDDING_TEST_URL. Any other backend is created from the
environment as it is, and skipped where it says that it cannot serve.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import cast

import numpy as np
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from services.core.backends import load, names
from services.core.errors import InvalidRequest, NotSupported, PayloadTooLarge, ServiceUnavailable
from services.embedding.backend import PACKAGE, EmbeddingBackend, HasDecoder
from services.embedding.backends.fake import MAX_WORDS, FakeEmbedding
from services.embedding.backends.fake import Settings as FakeSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = [
    "Bees make honey from the nectar of flowers.",
    "Honey is made by bees from nectar.",
    "The central bank raised interest rates.",
]
TOO_LONG = "word " * 9000
SERVER_BATCH = 4


def tei_stand_in() -> FastAPI:
    """What a TEI server does on the wire, with its limit on a batch, over the fake model."""
    app = FastAPI()
    model = FakeEmbedding(FakeSettings(dim=48))

    async def run(request: Request, *, states: bool) -> JSONResponse:
        body = await request.json()
        if len(body["inputs"]) > SERVER_BATCH:
            return JSONResponse(
                {"error": f"batch size {len(body['inputs'])} > maximum", "error_type": "Validation"}, 422
            )
        try:
            encoded = await model.encode(
                body["inputs"],
                normalize=body.get("normalize", True),
                truncate=body.get("truncate", False),
                token_vectors=True,
            )
        except PayloadTooLarge as error:
            return JSONResponse({"error": error.message, "error_type": "Validation"}, 413)
        rows = [one.tolist() for one in encoded.states or []] if states else encoded.vectors.tolist()
        return JSONResponse(rows)

    @app.get("/health")
    async def health() -> None:
        return

    @app.get("/info")
    async def info() -> dict[str, object]:
        return {
            "model_id": "stand-in",
            "model_sha": None,
            "model_dtype": "float16",
            "model_type": {"embedding": {"pooling": "mean"}},
            "max_concurrent_requests": 512,
            "max_input_length": MAX_WORDS,
            "max_batch_tokens": 16384,
            "max_batch_requests": None,
            "max_client_batch_size": SERVER_BATCH,
            "auto_truncate": False,
            "tokenization_workers": 2,
            "version": "1.8.0",
            "sha": None,
            "docker_label": None,
        }

    @app.post("/embed")
    async def embed(request: Request) -> JSONResponse:
        return await run(request, states=False)

    @app.post("/embed_all")
    async def embed_all(request: Request) -> JSONResponse:
        return await run(request, states=True)

    @app.post("/tokenize")
    async def tokenize(request: Request) -> JSONResponse:
        body = await request.json()
        if len(body["inputs"]) > SERVER_BATCH:
            return JSONResponse({"error": "batch size > maximum", "error_type": "Validation"}, 413)
        tokens = await model.tokenize(body["inputs"], add_special_tokens=body["add_special_tokens"])
        return JSONResponse([[asdict(token) for token in text] for text in tokens])

    @app.post("/decode")
    async def decode(request: Request) -> JSONResponse:
        body = await request.json()
        if len(body["ids"]) > SERVER_BATCH:
            return JSONResponse({"error": "batch size > maximum", "error_type": "Validation"}, 413)
        return JSONResponse([" ".join(f"word{number}" for number in text) for text in body["ids"]])

    return app


def openai_stand_in() -> FastAPI:
    """An OpenAI-compatible server that refuses what is too long, and answers out of order."""
    app = FastAPI()
    model = FakeEmbedding(FakeSettings(dim=48))

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": [{"id": "stand-in"}]}

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> JSONResponse:
        body = await request.json()
        try:
            encoded = await model.encode(body["input"], normalize=True, truncate=False)
        except PayloadTooLarge as error:
            return JSONResponse({"error": {"message": error.message, "type": "invalid_request_error"}}, 413)
        data = [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, vector in enumerate(encoded.vectors)
        ]
        usage = {"prompt_tokens": encoded.prompt_tokens, "total_tokens": encoded.prompt_tokens}
        return JSONResponse({"object": "list", "data": data[::-1], "model": "stand-in", "usage": usage})

    return app


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=names(PACKAGE))
async def backend(
    request: pytest.FixtureRequest, serve: Callable[[ASGIApp], str]
) -> AsyncIterator[EmbeddingBackend]:
    with pytest.MonkeyPatch.context() as patch:
        match request.param:
            case "openvino":
                patch.setenv("RAGLINE_HOME", str(request.getfixturevalue("models_home")))
            case "tei":
                url = os.environ.get("TEI_EMBEDDING_TEST_URL") or serve(tei_stand_in())
                patch.setenv("TEI_EMBEDDING_ENDPOINT", url)
            case "openai":
                url = os.environ.get("OPENAI_EMBEDDING_TEST_URL") or serve(openai_stand_in())
                patch.setenv("EMBEDDING_ENDPOINT", url)
                patch.setenv("EMBEDDING_ENDPOINT_BATCH", str(SERVER_BATCH))
        created = await _create(request.param)
    try:
        await created.ready()
    except ServiceUnavailable as error:
        await created.close()
        pytest.skip(f"{request.param} cannot serve here: {error.message}")
    yield created
    await created.close()


async def _create(name: str) -> EmbeddingBackend:
    module = load(PACKAGE, name)
    return cast(EmbeddingBackend, await module.create())  # type: ignore[attr-defined]


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    dots = (left * right).sum(axis=-1)
    return dots / (np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1))


async def test_info_says_what_the_vectors_are(backend: EmbeddingBackend) -> None:
    info = await backend.info()
    encoded = await backend.encode(TEXTS, normalize=True, truncate=True)
    assert info.model_id
    assert info.max_input_length >= 8
    assert encoded.vectors.shape == (3, info.dim)
    assert encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-4)
    assert encoded.states is None
    assert encoded.prompt_tokens > sum(len(text.split()) for text in TEXTS)


async def test_related_texts_are_closer(backend: EmbeddingBackend) -> None:
    bees, honey, bank = (await backend.encode(TEXTS, normalize=True, truncate=True)).vectors
    assert bees @ honey > bees @ bank + 0.2


async def test_vectors_come_in_the_order_of_the_texts_whatever_their_company(
    backend: EmbeddingBackend,
) -> None:
    texts = [f"{word} {'and more of it ' * (index % 7)}" for index, word in enumerate("abcdefghijklm")]
    together = (await backend.encode(texts, normalize=True, truncate=True)).vectors
    alone = [(await backend.encode([text], normalize=True, truncate=True)).vectors[0] for text in texts]
    assert cosines(together, np.stack(alone)).min() > 0.9998
    at_once = await asyncio.gather(*(backend.encode([text], normalize=True, truncate=True) for text in texts))
    # not equal to the last bit: texts of several requests may share a pass, and padding rounds otherwise
    assert cosines(np.stack([one.vectors[0] for one in at_once]), np.stack(alone)).min() > 0.9998


async def test_without_normalisation_the_direction_is_the_same(backend: EmbeddingBackend) -> None:
    unit = await backend.encode(TEXTS, normalize=True, truncate=True)
    raw = await backend.encode(TEXTS, normalize=False, truncate=True)
    assert cosines(unit.vectors, raw.vectors).min() > 0.99999


async def test_states_are_those_of_every_token_or_refused(backend: EmbeddingBackend) -> None:
    info = await backend.info()
    if not info.token_vectors:
        with pytest.raises(InvalidRequest, match="token vectors"):
            await backend.encode(TEXTS, normalize=True, truncate=True, token_vectors=True)
        return
    texts = [*TEXTS, *("honey " * count for count in range(1, SERVER_BATCH + 1))]
    encoded = await backend.encode(texts, normalize=True, truncate=True, token_vectors=True)
    assert encoded.states is not None
    assert len(encoded.states) == len(texts)
    for text, states in zip(texts, encoded.states, strict=True):
        assert states.dtype == np.float32
        assert states.shape[1] == info.dim
        assert len(states) >= len(text.split()) + 2


async def test_a_text_that_is_too_long_is_refused_unless_truncated(backend: EmbeddingBackend) -> None:
    with pytest.raises(PayloadTooLarge):
        await backend.encode([TEXTS[0], TOO_LONG], normalize=True, truncate=False)
    if type(backend).__name__ == "OpenAIEmbeddingServer":
        return  # its protocol cannot ask for truncation
    info = await backend.info()
    encoded = await backend.encode([TOO_LONG], normalize=True, truncate=True)
    assert encoded.prompt_tokens == info.max_input_length


async def test_tokens_stand_for_their_part_of_the_text_or_are_refused(backend: EmbeddingBackend) -> None:
    texts = ["Bees make honey \U0001f41d and Gr\u00fc\u00dfe.", "honey", *["and more"] * SERVER_BATCH]
    if type(backend).__name__ == "OpenAIEmbeddingServer":
        with pytest.raises(NotSupported, match="EMBEDDING_BACKEND"):
            await backend.tokenize(texts, add_special_tokens=True)
        return
    tokenized = await backend.tokenize(texts, add_special_tokens=True)
    assert len(tokenized) == len(texts)
    for text, tokens in zip(texts, tokenized, strict=True):
        first, *own, last = tokens
        assert first.special
        assert last.special
        assert (first.start, last.stop) == (None, None)
        assert [token.text for token in own] == [text[token.start : token.stop] for token in own]
        assert not any(token.special for token in own)
    ends = [token.stop for token in tokenized[0][1:-1]]
    assert ends == sorted(ends)
    assert tokenized[0][3].text == "honey"
    bare = await backend.tokenize(texts, add_special_tokens=False)
    assert bare == [tokens[1:-1] for tokens in tokenized]
    long = (await backend.tokenize([TOO_LONG], add_special_tokens=False))[0]
    assert len(long) == 9000


async def test_a_backend_that_decodes_gives_a_text_for_each_list_of_ids(backend: EmbeddingBackend) -> None:
    if not isinstance(backend, HasDecoder):
        pytest.skip("it has no tokenizer to ask")
    ids = [[1037 + number, 2000] for number in range(SERVER_BATCH + 2)]
    texts = await backend.decode(ids, skip_special_tokens=True)
    assert len(texts) == len(ids)
    assert texts[3] == (await backend.decode([ids[3]], skip_special_tokens=True))[0] != texts[4]
