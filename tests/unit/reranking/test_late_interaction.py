"""Where token vectors come from, and what is done when they do not come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from services.core.client import NO_HEADERS, HttpClient
from services.core.errors import NotFound, ServiceUnavailable
from services.core.text import normalise
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import TokenVectorsReply
from services.embedding.backends.fake import FakeEmbedding
from services.embedding.backends.fake import Settings as FakeSettings
from services.embedding.encoder import quantise_states
from services.reranking.backends.late_interaction import LateInteraction, Settings

QUERY = "how do bees make honey"
TEXTS = ["bees make honey from nectar", "the stock market fell", "honey is sweet", "how to make bread"]


class Embedding(HttpClient):
    """The embedding service over the fake backend, counting what is asked of it."""

    def __init__(self) -> None:
        super().__init__("embedding", "http://unused")
        self.asked: list[list[str]] = []
        self.model = "m1"
        self.dim = 64
        self.has_tokens = True

    async def post(
        self,
        path: str,
        payload: bytes | Mapping[str, object],
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool = False,
    ) -> bytes:
        assert isinstance(payload, bytes)
        texts = orjson.loads(payload)["inputs"]
        if path == "/tokenize":
            fake = FakeEmbedding(FakeSettings(dim=self.dim))
            return orjson.dumps(await fake.tokenize(texts, add_special_tokens=False))
        assert path == "/v1/encode"
        self.asked.append(texts)
        packed = [await token_vectors(text, self.dim) for text in texts] if self.has_tokens else None
        embeddings = [(await pool_tokens(text, self.dim)).tolist() for text in texts]
        reply = EncodeReply(model=self.model, dim=self.dim, embeddings=embeddings, token_vectors=packed)
        return reply.model_dump_json().encode()


class Retrieval(HttpClient):
    """The retrieval service with some token vectors in its store."""

    def __init__(self) -> None:
        super().__init__("retrieval", "http://unused")
        self.stored: dict[str, TokenVectors] = {}
        self.asked: list[list[str]] = []
        self.error: Exception | None = None

    async def post(
        self,
        path: str,
        payload: bytes | Mapping[str, object],
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool = False,
    ) -> bytes:
        assert path == "/v1/passages/token_vectors"
        if self.error:
            raise self.error
        assert isinstance(payload, bytes)
        ids = orjson.loads(payload)["ids"]
        self.asked.append(ids)
        found = {one: self.stored[one] for one in ids if one in self.stored}
        return TokenVectorsReply(token_vectors=found).model_dump_json().encode()


async def token_vectors(text: str, dim: int = 64) -> TokenVectors:
    fake = FakeEmbedding(FakeSettings(dim=dim))
    encoded = await fake.encode([text], normalize=True, truncate=True, token_vectors=True)
    assert encoded.states is not None
    rows = quantise_states(encoded.states[0])
    return TokenVectors(tokens=len(rows), dim=dim, data=rows.tobytes())


async def pool_tokens(text: str, dim: int) -> NDArray[np.float32]:
    packed = await token_vectors(text, dim)
    rows = np.frombuffer(packed.data, np.int8).reshape(packed.tokens, dim)
    return rows.sum(axis=0, dtype=np.float32)


def passages(*, dense: bool = False) -> list[Passage]:
    return [
        Passage(id=f"p{index}", document_id="d", text=text, score=0.9 - index / 10 if dense else None)
        for index, text in enumerate(TEXTS)
    ]


class Stack:
    def __init__(self, **settings: object) -> None:
        self.embedding, self.retrieval = Embedding(), Retrieval()
        self.reranker = LateInteraction(Settings.model_validate(settings), self.embedding, self.retrieval)


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    stack = Stack()
    yield stack
    await stack.reranker.close()


async def store_all(stack: Stack) -> None:
    stack.retrieval.stored = {f"p{index}": await token_vectors(text) for index, text in enumerate(TEXTS)}


async def test_stored_vectors_are_fetched_once_and_kept(stack: Stack) -> None:
    await store_all(stack)
    first = await stack.reranker.score(QUERY, passages(), collection="c")
    again = await stack.reranker.score(QUERY, passages(), collection="c")
    assert first == again
    assert int(np.argmax(first)) == 0
    assert stack.retrieval.asked == [["p0", "p1", "p2", "p3"]]
    assert stack.embedding.asked == [[QUERY], [QUERY]]


async def test_passages_without_stored_vectors_are_encoded_once(stack: Stack) -> None:
    await store_all(stack)
    expected = await stack.reranker.score(QUERY, passages(), collection="c")
    other = Stack()
    other.retrieval.stored = {"p0": stack.retrieval.stored["p0"]}
    assert await other.reranker.score(QUERY, passages(), collection="c") == pytest.approx(expected)
    await other.reranker.score(QUERY, passages(), collection="c")
    assert other.embedding.asked == [[QUERY], TEXTS[1:], [QUERY]]


async def test_bare_texts_never_reach_the_store(stack: Stack) -> None:
    scores = await stack.reranker.score(QUERY, passages(), collection=None)
    assert int(np.argmax(scores)) == 0
    assert stack.retrieval.asked == []


async def test_an_unknown_collection_is_not_an_error(stack: Stack) -> None:
    stack.retrieval.error = NotFound("no such collection", service="retrieval")
    scores = await stack.reranker.score(QUERY, passages(), collection="mine")
    assert int(np.argmax(scores)) == 0


async def test_a_store_that_is_down_is_an_error_that_names_it(stack: Stack) -> None:
    stack.retrieval.error = ServiceUnavailable("retrieval is down", service="retrieval")
    with pytest.raises(ServiceUnavailable, match="retrieval is down"):
        await stack.reranker.score(QUERY, passages(), collection="c")


async def test_two_texts_under_one_id_are_scored_apart(stack: Stack) -> None:
    same = [passage.model_copy(update={"id": ""}) for passage in passages()]
    expected = await stack.reranker.score(QUERY, passages(), collection=None)
    assert await stack.reranker.score(QUERY, same, collection="c") == expected


async def test_the_heading_path_is_part_of_what_is_encoded(stack: Stack) -> None:
    passage = Passage(id="p", document_id="d", text="from nectar", title="Bees", section="Honey")
    await stack.reranker.score(QUERY, [passage], collection="c")
    assert stack.embedding.asked[1] == ["Bees > Honey\nfrom nectar"]


async def test_dense_scores_are_blended_in() -> None:
    even = [passage.model_copy(update={"text": "bees make honey"}) for passage in passages(dense=True)]
    blended = await Stack().reranker.score(QUERY, even, collection=None)
    assert blended == sorted(blended, reverse=True)
    assert blended[0] > blended[-1]
    late_only = await Stack(dense_weight=0).reranker.score(QUERY, even, collection=None)
    assert len(set(late_only)) == 1


async def test_sparse_scores_are_blended_in_where_they_have_a_weight() -> None:
    even = [passage.model_copy(update={"text": "bees make honey"}) for passage in passages(dense=True)]
    found = [*even[:3], even[3].model_copy(update={"sparse_score": 12.5})]
    dense = await Stack().reranker.score(QUERY, even, collection=None)
    assert await Stack(sparse_weight=0).reranker.score(QUERY, found, collection=None) == dense
    blended = await Stack(sparse_weight=2).reranker.score(QUERY, found, collection=None)
    assert int(np.argmax(blended)) == 3


async def test_another_embedding_model_empties_the_cache(stack: Stack) -> None:
    await store_all(stack)
    await stack.reranker.score(QUERY, passages(), collection="c")
    stack.embedding.model, stack.embedding.dim = "m2", 32
    scores = await stack.reranker.score(QUERY, passages(), collection="c")
    assert int(np.argmax(scores)) == 0
    assert len(stack.retrieval.asked) == 2
    assert stack.reranker.model == "late-interaction m2"
    # the stored vectors are of the other dimension: encoded afresh
    assert stack.embedding.asked[-1] == TEXTS


async def test_a_model_without_token_vectors_says_what_to_set(stack: Stack) -> None:
    stack.embedding.has_tokens = False
    with pytest.raises(ServiceUnavailable, match="RERANKING_BACKEND"):
        await stack.reranker.score(QUERY, passages(), collection="c")


async def test_a_sentence_is_as_near_as_its_own_tokens_wherever_it_stands(stack: Stack) -> None:
    text = "The market fell. Bees\u00adkeepers sell it, how do bees make honey. Honey \ufb01lls jars."
    passage = Passage(id="p9", document_id="d", title="a.md", section="Soft\u00adware", text=text)
    stack.retrieval.stored = {"p9": await token_vectors(normalise(passage.embedded_text))}
    parts = ["The market fell.", "how do bees make honey", "Honey \ufb01lls jars."]
    spans = [(text.index(part), text.index(part) + len(part)) for part in parts]
    ((far, same, near),) = await stack.reranker.sentence_cosines(
        QUERY, [passage], [spans], collection="default"
    )
    assert same == pytest.approx(1, abs=0.01)
    assert far is not None
    assert near is not None
    assert max(far, near) < 0.9


async def test_where_the_vectors_do_not_reach_there_is_no_cosine(stack: Stack) -> None:
    await store_all(stack)
    cut = Passage(id="p0", document_id="d", text=f"{TEXTS[0]} and so on and on")
    unknown = Passage(id="p9", document_id="d", text="honey")
    spans = [(0, len(TEXTS[0])), (len(TEXTS[0]), len(cut.text)), (4000, 4001)]
    found = await stack.reranker.sentence_cosines(
        QUERY, [cut, unknown], [spans, [(0, 5)]], collection="default"
    )
    assert found[0][0] is not None
    assert found[0][1:] == [None, None]
    assert found[1] == [None]
