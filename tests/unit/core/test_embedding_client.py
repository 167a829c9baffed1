"""What the embedding client sends is the normal form of a text; a tokenizer gets the text itself."""

from __future__ import annotations

from typing import Any

import orjson

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.errors import NotFound

SHY = "Wasser\u00adanschluss, e\ufb03ciency"
PLAIN = "Wasseranschluss, efficiency"


class Http(HttpClient):
    """Answers as an embedding service, or as a TEI, and keeps what it was asked."""

    def __init__(self, *, tei: bool = False) -> None:
        self.service = "embedding"
        self.tei = tei
        self.asked: list[Any] = []

    async def post(self, path: str, payload: Any, **options: Any) -> bytes:
        if path == "/v1/encode" and self.tei:
            raise NotFound("a TEI has no such route")
        self.asked.append(orjson.loads(payload)["inputs"])
        if path == "/tokenize":
            return b"[[]]"
        vectors = [[1.0]]
        return orjson.dumps(
            {"model": "m", "dim": 1, "embeddings": vectors} if path == "/v1/encode" else vectors
        )

    async def get(self, path: str, **options: Any) -> bytes:
        return b'{"model_id": "m", "max_input_length": 256}'


async def test_queries_and_passages_are_embedded_in_their_normal_form() -> None:
    for http in (Http(), Http(tei=True)):
        client = EmbeddingClient(http)
        await client.embed_query(SHY)
        await client.encode([SHY], token_vectors=False)
        assert http.asked == [PLAIN, [PLAIN]]


async def test_what_is_tokenized_keeps_its_offsets() -> None:
    http = Http()
    await EmbeddingClient(http).tokenize([SHY])
    assert http.asked == [[SHY]]
