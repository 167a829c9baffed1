"""Every vector store against the protocol. A new file in `backends/` is tested by being there.

Local stores run in a scratch folder; a server store needs `<NAME>_TEST_URL` (for example
`QDRANT_TEST_URL=qdrant://127.0.0.1:6333`). Qdrant's code path also runs over the client's own in-memory double.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from qdrant_client import AsyncQdrantClient

from services.core.addresses import StoreAddress
from services.core.backends import load, names
from services.core.errors import Conflict, InvalidRequest, NotFound
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import PACKAGE, Candidates, Query, VectorStore
from services.retrieval.backends.qdrant.store import QdrantStore
from services.retrieval.backends.redis.store import RedisStore
from services.retrieval.settings import VECTOR_URL

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

DIM = 8
MODEL = "test-model"
IN_PROCESS = "qdrant-in-process"


async def search(store, name, vector, *, k, where=None) -> list[Passage]:
    return (await store.search(name, Query(vector=vector, k=k, where=where))).dense


async def _open(kind: str, directory: Path, request: pytest.FixtureRequest) -> VectorStore:
    if kind == IN_PROCESS:
        return QdrantStore(AsyncQdrantClient(":memory:"), "memory")
    variable = f"{kind.upper()}_TEST_URL"
    local = {"edge": f"edge://{directory}", "memory": "memory://"}
    text = os.environ.get(variable) or local.get(kind)
    if kind == "redis" and text is None:
        text = request.getfixturevalue("redis_server").url
    if text is None:
        pytest.skip(f"no {kind} server: set {variable} to its URL")
    return await load(PACKAGE, kind).create(StoreAddress.parse(VECTOR_URL, text))


@pytest.fixture(params=[*names(PACKAGE), IN_PROCESS])
def kind(request) -> str:
    return request.param


@pytest.fixture
def name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def store(kind, name, tmp_path, request) -> AsyncIterator[VectorStore]:
    opened = await _open(kind, tmp_path, request)
    yield opened
    for alias in await opened.aliases():
        if alias.startswith(name):
            await opened.delete_alias(alias)
    for collection in await opened.collections():
        if collection.name.startswith(name):
            await opened.drop(collection.name)
    await opened.close()


async def settle(store: VectorStore) -> None:
    """Return when what was hidden is also deleted, which a server's backend does in the background."""
    if isinstance(store, QdrantStore | RedisStore):
        await store._purger.deletions.wait_idle()


def unit(*parts: float) -> list[float]:
    vector = np.zeros(DIM)
    vector[: len(parts)] = parts
    return (vector / np.linalg.norm(vector)).tolist()


def tokens(seed: int, count: int = 5) -> TokenVectors:
    raw = np.random.default_rng(seed).integers(-127, 128, (count, DIM)).astype(np.int8)
    return TokenVectors(data=raw.tobytes(), tokens=count, dim=DIM)


def stored(
    id_: str, vector: list[float], *, with_tokens: TokenVectors | None = None, **fields
) -> StoredPassage:
    fields = {"document_id": "doc", "text": f"text of {id_}", **fields}
    return StoredPassage(passage=Passage(id=id_, **fields), vector=vector, token_vectors=with_tokens)


async def test_a_passage_comes_back_as_it_was_stored_with_its_score(store, name):
    passage = Passage(
        id="p é/1",
        document_id="d",
        text="line one\nzwei · 三",
        title="Title",
        section="A > B",
        page=3,
        start=10,
        end=27,
        index=2,
        revision="r" * 64,
        metadata={"lang": "en", "year": 2024, "ratio": 0.5, "open": True, "tags": ["a", "b"]},
        score=0.1,
        rerank_score=0.2,
    )
    await store.upsert(name, MODEL, [StoredPassage(passage=passage, vector=unit(3, 4))])
    (found,) = await search(store, name, unit(1), k=5)
    assert found.score == pytest.approx(0.6, abs=1e-5)
    assert found.model_copy(update={"score": None}) == passage.model_copy(
        update={"score": None, "rerank_score": None}
    )


async def test_search_is_ordered_by_cosine_whatever_the_lengths_of_the_vectors(store, name):
    vectors = {"far": [0.0, 5.0], "near": [9.0, 1.0], "middle": [0.1, 0.1], "opposite": [-1.0, 0.0]}
    await store.upsert(name, MODEL, [stored(id_, [*v, *[0.0] * (DIM - 2)]) for id_, v in vectors.items()])
    found = await search(store, name, [2.0] + [0.0] * (DIM - 1), k=10)
    assert [passage.id for passage in found] == ["near", "middle", "far", "opposite"]
    expected = [9 / np.sqrt(82), np.sqrt(0.5), 0, -1]
    assert [passage.score for passage in found] == pytest.approx(expected, abs=1e-5)
    assert all(-1 <= passage.score <= 1 for passage in found)
    assert [passage.id for passage in await search(store, name, unit(1), k=2)] == ["near", "middle"]


async def test_search_agrees_with_a_brute_force_over_many_passages(store, name):
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((300, DIM))
    query = rng.standard_normal(DIM)
    await store.upsert(name, MODEL, [stored(f"p{i}", row.tolist()) for i, row in enumerate(matrix)])
    cosine = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    best = np.argsort(-cosine)[:20]
    found = await search(store, name, query.tolist(), k=20)
    assert [passage.id for passage in found] == [f"p{i}" for i in best]
    assert [passage.score for passage in found] == pytest.approx(cosine[best].tolist(), abs=1e-5)


FILTERS = [
    (None, {"a", "b", "c", "d"}),
    ({}, {"a", "b", "c", "d"}),
    ({"document_id": "d1"}, {"a", "b"}),
    ({"document_id": ["d1", "d2"]}, {"a", "b", "c"}),
    ({"title": "Handbook"}, {"a", "c"}),
    ({"section": "Pricing > Fees"}, {"b"}),
    ({"page": 3}, {"a"}),
    ({"page": 3.0}, {"a"}),
    ({"page": "3"}, set()),
    ({"lang": "en"}, {"a", "b"}),
    ({"year": 2024}, {"a", "c"}),
    ({"year": True}, set()),
    ({"open": True}, {"a"}),
    ({"open": False}, {"b"}),
    ({"open": 1}, {"c"}),
    ({"ratio": 0.25}, {"a"}),
    ({"tags": "x"}, {"a", "b"}),
    ({"tags": ["y", "z"]}, {"a", "c"}),
    ({"tags": []}, set()),
    ({'a.b[0] "c"': "odd"}, {"d"}),
    ({"note": "long " * 200}, {"d"}),
    ({"missing": "x"}, set()),
    ({"page": {"gte": 4}}, {"b"}),
    ({"page": {"gt": 3, "lte": 4}}, {"b"}),
    ({"page": {"lt": 3}}, set()),
    ({"page": {"gte": 3, "lt": 4.5}}, {"a", "b"}),
    ({"year": {"gte": 2024}}, {"a", "c"}),
    ({"ratio": {"gt": -1e9, "lt": 0.2500001}}, {"a"}),
    ({"open": {"gte": 0}}, {"c"}),
    ({"lang": {"not": "en"}}, {"c", "d"}),
    ({"tags": {"not": ["y", "z"]}}, {"b", "d"}),
    ({"tags": {"not": []}}, {"a", "b", "c", "d"}),
    ({"document_id": "d1", "page": {"not": 3, "gte": 1}}, {"b"}),
    ({"document_id": "d1", "lang": "en", "open": False}, {"b"}),
    ({"document_id": "d1", "year": 2025}, set()),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS, ids=[str(where)[:40] for where, _ in FILTERS])
async def test_filters(store, name, where, expected):
    await store.upsert(
        name,
        MODEL,
        [
            stored(
                "a",
                unit(1),
                document_id="d1",
                title="Handbook",
                page=3,
                metadata={"lang": "en", "year": 2024, "open": True, "ratio": 0.25, "tags": ["x", "y"]},
            ),
            stored(
                "b",
                unit(1, 1),
                document_id="d1",
                title="Prices",
                section="Pricing > Fees",
                page=4,
                metadata={"lang": "en", "open": False, "tags": ["x"]},
            ),
            stored(
                "c",
                unit(0, 1),
                document_id="d2",
                title="Handbook",
                metadata={"lang": "de", "year": 2024, "open": 1, "tags": ["z"]},
            ),
            stored(
                "d",
                unit(0, 0, 1),
                document_id="d3",
                metadata={'a.b[0] "c"': "odd", "note": "long " * 200, "title": "hidden by the field"},
            ),
        ],
    )
    found = await search(store, name, unit(1), k=10, where=where)
    assert {passage.id for passage in found} == expected


async def test_a_known_id_is_overwritten_in_every_part(store, name):
    before = stored("p", unit(1), title="old", metadata={"v": 1}, with_tokens=tokens(1))
    after = stored("p", unit(0, 1), title="new", metadata={"v": 2}, with_tokens=tokens(2))
    await store.upsert(name, MODEL, [before, stored("q", unit(1, 1), with_tokens=tokens(3))])
    await store.upsert(name, MODEL, [after])
    found = await search(store, name, unit(0, 1), k=10)
    assert [(passage.id, passage.title) for passage in found] == [("p", "new"), ("q", "")]
    assert await search(store, name, unit(1), k=10, where={"v": 1}) == []
    assert await store.token_vectors(name, ["p", "q"]) == {"p": tokens(2), "q": tokens(3)}
    await store.upsert(name, MODEL, [stored("p", unit(0, 1))])
    assert await store.token_vectors(name, ["p", "q"]) == {"q": tokens(3)}


async def test_an_id_given_twice_at_once_keeps_its_last_form(store, name):
    await store.upsert(
        name,
        MODEL,
        [
            stored("p", unit(1), title="first", with_tokens=tokens(1)),
            stored("p", unit(0, 1), title="last", with_tokens=tokens(2)),
        ],
    )
    (found,) = await search(store, name, unit(0, 1), k=10)
    assert (found.title, found.score) == ("last", pytest.approx(1, abs=1e-5))
    assert await store.token_vectors(name, ["p"]) == {"p": tokens(2)}
    assert (await store.collections())[0].passages == 1


async def test_token_vectors_come_back_exactly_and_only_where_stored(store, name):
    wanted = {f"p{i}": tokens(i, count=1 + i) for i in range(30)}
    plain = [stored("plain", unit(1))]
    await store.upsert(
        name,
        MODEL,
        [stored(id_, unit(1, i), with_tokens=t) for i, (id_, t) in enumerate(wanted.items())] + plain,
    )
    assert await store.token_vectors(name, [*wanted, "plain", "unknown"]) == wanted
    assert await store.token_vectors(name, ["p3"]) == {"p3": wanted["p3"]}
    assert await store.token_vectors("never-made", ["p3"]) == {}


async def test_delete_takes_a_document_with_its_token_vectors_and_leaves_others(store, name):
    await store.upsert(
        name,
        MODEL,
        [
            *(stored(f"a{i}", unit(1, i), document_id="a", with_tokens=tokens(i)) for i in range(5)),
            stored("b", unit(1), document_id="b", with_tokens=tokens(9)),
        ],
    )
    assert await store.delete(name, "a") == 5
    assert await store.delete(name, "a") == 0
    assert [passage.id for passage in await search(store, name, unit(1), k=10)] == ["b"]
    await settle(store)
    assert await store.token_vectors(name, ["a0", "a1", "b"]) == {"b": tokens(9)}
    assert await store.delete("never-made", "a") == 0


async def test_delete_can_keep_one_revision(store, name):
    await store.upsert(
        name,
        MODEL,
        [
            stored("old1", unit(1), revision="1", with_tokens=tokens(1)),
            stored("old2", unit(1, 1), revision="1"),
            stored("new1", unit(1, 2), revision="2", with_tokens=tokens(2)),
            stored("other", unit(1, 3), document_id="other", revision="1"),
        ],
    )
    assert await store.delete(name, "doc", keep_revision="2") == 2
    assert {passage.id for passage in await search(store, name, unit(1), k=10)} == {"new1", "other"}
    await settle(store)
    assert await store.token_vectors(name, ["old1", "new1"]) == {"new1": tokens(2)}
    assert await store.delete(name, "doc", keep_revision="2") == 0


async def test_documents_are_listed_by_name_with_their_first_passages_metadata(store, name):
    zebra = [
        stored(f"z{i}", unit(1, i), document_id="z", title="Zebra", revision="r1", index=i, metadata={"i": i})
        for i in reversed(range(4))
    ]
    apple = [stored("a", unit(2, 1), document_id="a", title="Apple", revision="r2", metadata={"lang": "en"})]
    untitled = [stored("u", unit(2, 2), document_id="middle.txt")]
    await store.upsert(name, MODEL, [*zebra, *apple, *untitled])
    found = await store.documents(name)
    assert [(d.id, d.name, d.revision, d.passages, d.metadata) for d in found] == [
        ("a", "Apple", "r2", 1, {"lang": "en"}),
        ("z", "Zebra", "r1", 4, {"i": 0}),
        ("middle.txt", "middle.txt", "", 1, {}),
    ]
    await store.delete(name, "z")
    assert [document.id for document in await store.documents(name)] == ["a", "middle.txt"]
    assert await store.documents("never-made") == []


async def test_more_documents_than_a_page_of_any_engine_are_all_listed(store, name):
    await store.upsert(
        name, MODEL, [stored(f"p{i}", unit(1, i), document_id=f"d{i % 1500:04}") for i in range(2100)]
    )
    found = await store.documents(name)
    assert [document.id for document in found] == [f"d{i:04}" for i in range(1500)]
    assert sum(document.passages for document in found) == 2100


async def test_a_collection_remembers_its_model_and_refuses_another(store, name):
    await store.upsert(name, MODEL, [stored("p", unit(1))])
    with pytest.raises(Conflict, match=f"{MODEL}.*other-model"):
        await store.upsert(name, "other-model", [stored("q", unit(1))])
    with pytest.raises(Conflict, match=rf"\({DIM} dimensions\).*\(3 dimensions\)"):
        await store.upsert(name, MODEL, [stored("q", [1.0, 0.0, 0.0])])
    (info,) = [found for found in await store.collections() if found.name == name]
    assert (info.model, info.dim, info.passages) == (MODEL, DIM, 1)


async def test_collections_are_apart_and_dropping_one_makes_its_name_free(store, name):
    other = f"{name}-b"
    await store.upsert(name, MODEL, [stored("p", unit(1), with_tokens=tokens(1))])
    await store.upsert(other, "other-model", [stored("q", [1.0, 0.0, 0.0])])
    found = {info.name: info for info in await store.collections()}
    assert (found[name].dim, found[other].dim, found[other].model) == (DIM, 3, "other-model")
    assert [passage.id for passage in await search(store, name, unit(1), k=10)] == ["p"]
    await store.drop(name)
    with pytest.raises(NotFound):
        await search(store, name, unit(1), k=10)
    with pytest.raises(NotFound):
        await store.drop(name)
    await store.upsert(name, "other-model", [stored("q", [1.0, 0.0, 0.0])])
    assert [passage.id for passage in await search(store, name, [1.0, 0.0, 0.0], k=10)] == ["q"]
    assert await store.token_vectors(name, ["p", "q"]) == {}


async def test_an_unknown_collection_is_not_found(store, name):
    with pytest.raises(NotFound, match=f"collection '{name}' does not exist: ingest a document first"):
        await search(store, name, unit(1), k=1)
    assert name not in {info.name for info in await store.collections()}


async def test_vectors_that_cannot_be_compared_are_refused(store, name):
    await store.upsert(name, MODEL, [stored("p", unit(1))])
    with pytest.raises(InvalidRequest, match=f"3 dimensions.*has {DIM}"):
        await search(store, name, [1.0, 0.0, 0.0], k=1)
    with pytest.raises(InvalidRequest, match="finite"):
        await search(store, name, [float("nan")] * DIM, k=1)
    with pytest.raises(InvalidRequest, match="finite"):
        await store.upsert(name, MODEL, [stored("q", [float("inf")] * DIM)])
    with pytest.raises(InvalidRequest, match="differ"):
        await store.upsert(name, MODEL, [stored("q", unit(1)), stored("r", [1.0])])
    with pytest.raises(ValidationError, match="64 bits"):  # no such passage can be made, and so none be sent
        stored("q", unit(1), metadata={"n": 2**70})
    assert [passage.id for passage in await search(store, name, unit(1), k=10)] == ["p"]


async def test_searches_during_an_upsert_are_answered_and_right(store, name):
    await store.upsert(name, MODEL, [stored("needle", unit(1), with_tokens=tokens(1))])
    rng = np.random.default_rng(3)
    many = [
        stored(f"p{i}", [-1.0, *rng.standard_normal(DIM - 1)], document_id=f"d{i}", with_tokens=tokens(i))
        for i in range(600)
    ]
    writing = asyncio.gather(*(store.upsert(name, MODEL, many[at : at + 200]) for at in range(0, 600, 200)))
    rounds = 0
    while not writing.done():
        found, vectors = await asyncio.gather(
            search(store, name, unit(1), k=3), store.token_vectors(name, ["needle"])
        )
        assert found[0].id == "needle"
        assert vectors == {"needle": tokens(1)}
        rounds += 1
        await asyncio.sleep(0)
    await writing
    assert rounds > 0
    (info,) = [found for found in await store.collections() if found.name == name]
    assert info.passages == 601


async def test_concurrent_first_writes_make_one_collection(store, name):
    await asyncio.gather(*(store.upsert(name, MODEL, [stored(f"p{i}", unit(1, i))]) for i in range(8)))
    assert len(await search(store, name, unit(1), k=20)) == 8


async def test_ready_returns(store):
    await store.ready()


async def revisions(store, name) -> list[tuple[str, str, int]]:
    return [(each.id, each.revision, each.passages) for each in await store.documents(name)]


def revision(number: int, count: int, document: str = "doc") -> list[StoredPassage]:
    return [
        stored(
            f"{document}/{number}/{i}",
            unit(1, i),
            document_id=document,
            revision=str(number),
            index=i,
            with_tokens=tokens(i),
        )
        for i in range(count)
    ]


async def seen(store, name, k=100) -> set[str]:
    return {passage.id for passage in await search(store, name, unit(1), k=k)}


async def test_a_staged_revision_is_in_no_answer_until_it_is_published(store, name):
    await store.upsert(name, MODEL, [*revision(1, 3), stored("other", unit(1), document_id="other")])
    await store.upsert(name, MODEL, revision(2, 5), staged=True)
    await store.upsert(name, MODEL, revision(3, 2), staged=True)
    await store.upsert(name, MODEL, revision(1, 4, "new"), staged=True)
    old = {"doc/1/0", "doc/1/1", "doc/1/2", "other"}
    assert await seen(store, name) == old
    assert len(await search(store, name, unit(1), k=2)) == 2
    assert await revisions(store, name) == [("doc", "1", 3), ("other", "", 1)]
    assert [info.passages for info in await store.collections() if info.name == name] == [4]
    assert {passage.id for passage in (await store.scroll(name, after=None, limit=99)).passages} == old
    assert await store.neighbours(name, ["doc/2/0"], before=9, after=9) == {}

    assert await store.publish(name, "doc", "2", passages=5) == 3
    assert await seen(store, name) == {f"doc/2/{i}" for i in range(5)} | {"other"}
    assert await revisions(store, name) == [("doc", "2", 5), ("other", "", 1)]
    assert await store.publish(name, "doc", "2") == 0
    assert await store.publish(name, "new", "1") == 0
    assert await store.publish(name, "doc", "3") == 5
    assert await revisions(store, name) == [("doc", "3", 2), ("new", "1", 4), ("other", "", 1)]


async def test_what_a_publish_replaced_can_be_stored_and_published_again(store, name):
    for number in (1, 2, 1, 2, 1):
        await store.upsert(name, MODEL, revision(number, 2 + number), staged=True)
        await store.publish(name, "doc", str(number))
        assert await revisions(store, name) == [("doc", str(number), 2 + number)]
        assert await seen(store, name) == {f"doc/{number}/{i}" for i in range(2 + number)}
        found = await store.token_vectors(name, [f"doc/{number}/{i}" for i in range(2 + number)])
        assert found == {f"doc/{number}/{i}": tokens(i) for i in range(2 + number)}


async def test_publishing_what_is_not_stored_is_refused_and_changes_nothing(store, name):
    with pytest.raises(NotFound):
        await store.publish(name, "doc", "1")
    await store.upsert(name, MODEL, revision(1, 3))
    await store.upsert(name, MODEL, revision(2, 3), staged=True)
    for wrong, says in (
        ("3", "no passage of revision '3' of document 'doc' is stored"),
        ("2", "3 passages.*4"),
    ):
        with pytest.raises(Conflict, match=says):
            await store.publish(name, "doc", wrong, passages=4)
    with pytest.raises(Conflict, match="no passage"):
        await store.publish(name, "nobody", "1")
    assert await seen(store, name) == {f"doc/1/{i}" for i in range(3)}


async def test_staging_what_is_seen_already_does_not_hide_it(store, name):
    await store.upsert(name, MODEL, revision(1, 3))
    await store.upsert(name, MODEL, revision(1, 4), staged=True)
    assert await seen(store, name) == {f"doc/1/{i}" for i in range(4)}
    assert await store.publish(name, "doc", "1", passages=4) == 0


async def test_a_staged_passage_cannot_take_the_id_of_one_that_is_seen(store, name):
    await store.upsert(name, MODEL, [stored("p", unit(1), revision="1")])
    with pytest.raises(Conflict, match="'p' is stored for revision '1'"):
        await store.upsert(name, MODEL, [stored("p", unit(1), revision="2")], staged=True)
    assert await seen(store, name) == {"p"}


async def test_delete_takes_staged_revisions_too_or_only_one(store, name):
    await store.upsert(name, MODEL, revision(1, 3))
    await store.upsert(name, MODEL, revision(2, 4), staged=True)
    assert await store.delete(name, "doc", revision="2") == 4
    with pytest.raises(Conflict, match="no passage"):
        await store.publish(name, "doc", "2")
    assert await seen(store, name) == {f"doc/1/{i}" for i in range(3)}
    await store.upsert(name, MODEL, revision(2, 4), staged=True)
    assert await store.delete(name, "doc") == 7
    assert await store.delete(name, "doc") == 0
    assert await seen(store, name) == set()
    await store.upsert(name, MODEL, revision(2, 4))
    assert await seen(store, name) == {f"doc/2/{i}" for i in range(4)}


async def test_readers_of_a_changing_document_find_one_revision_whole(store, name):
    await store.upsert(name, MODEL, [*revision(0, 6), *revision(0, 6, "still")])
    done = asyncio.Event()
    observed: set[str] = set()

    async def read() -> int:
        rounds = 0
        while not done.is_set():
            both = await store.search(name, Query(vector=unit(1), text="text", k=50))
            for side in (both.sparse, both.dense):
                found = [passage for passage in side if passage.document_id == "doc"]
                observed.update(passage.revision for passage in found)
                assert len(found) == 6, found
            both_revisions = {p.revision for p in (*both.dense, *both.sparse) if p.document_id == "doc"}
            assert len(both_revisions) == 1
            (info, _) = await store.documents(name)
            assert (info.id, info.passages) == ("doc", 6)
            rounds += 1
            await asyncio.sleep(0)
        return rounds

    async def replace() -> None:
        try:
            for number in range(1, 9):
                new = revision(number, 6)
                for part in (new[:3], new[3:]):
                    await store.upsert(name, MODEL, part, staged=True)
                assert await store.publish(name, "doc", str(number), passages=6) == 6
                await asyncio.sleep(0)
        finally:
            done.set()

    *rounds, _ = await asyncio.gather(*(read() for _ in range(4)), replace())
    assert min(rounds) > 0
    assert len(observed) > 1
    assert await seen(store, name) == {f"doc/8/{i}" for i in range(6)} | {f"still/0/{i}" for i in range(6)}


async def test_neighbours_are_of_the_same_revision_in_order(store, name):
    await store.upsert(name, MODEL, [*reversed(revision(1, 5)), *revision(1, 5, "other")])
    found = await store.neighbours(name, ["doc/1/0", "doc/1/3", "nobody"], before=1, after=2)
    assert {id_: [p.id for p in passages] for id_, passages in found.items()} == {
        "doc/1/0": ["doc/1/0", "doc/1/1", "doc/1/2"],
        "doc/1/3": ["doc/1/2", "doc/1/3", "doc/1/4"],
    }
    assert [p.id for p in (await store.neighbours(name, ["doc/1/2"], before=0, after=0))["doc/1/2"]] == [
        "doc/1/2"
    ]
    assert await store.neighbours("never-made", ["doc/1/0"], before=1, after=1) == {}


async def test_scrolling_shows_every_passage_once(store, name):
    await store.upsert(name, MODEL, revision(1, 70))
    await store.upsert(name, MODEL, revision(2, 70, "hidden"), staged=True)
    ids: list[str] = []
    after = None
    for _ in range(100):
        page = await store.scroll(name, after=after, limit=16)
        ids += [passage.id for passage in page.passages]
        after = page.next
        if after is None:
            break
    assert sorted(ids) == sorted(f"doc/1/{i}" for i in range(70))
    with pytest.raises(NotFound):
        await store.scroll("never-made", after=None, limit=1)


async def test_an_alias_means_a_collection_everywhere_and_can_be_switched(store, name):
    old, new, alias = f"{name}-old", f"{name}-new", f"{name}-alias"
    await store.upsert(old, MODEL, [stored("old", unit(1), revision="1")])
    await store.upsert(new, "other-model", [stored("new", unit(1), revision="1")])
    with pytest.raises(NotFound):
        await store.set_alias(alias, f"{name}-none")
    await store.set_alias(alias, old)
    assert await seen(store, alias) == {"old"}
    with pytest.raises(Conflict, match="reindex"):
        await store.upsert(alias, "other-model", [stored("x", unit(1))])
    await store.upsert(alias, MODEL, [stored("second", unit(1, 1), revision="2")], staged=True)
    assert await store.publish(alias, "doc", "2") == 1
    assert await seen(store, old) == {"second"}
    await store.set_alias(alias, new)
    assert {each: meant for each, meant in (await store.aliases()).items() if each.startswith(name)} == {
        alias: new
    }
    assert await seen(store, alias) == {"new"}
    infos = {info.name: info.aliases for info in await store.collections() if info.name.startswith(name)}
    assert infos == {old: [], new: [alias]}
    with pytest.raises(Conflict, match="is an alias"):
        await store.drop(alias)
    with pytest.raises(Conflict, match=alias):
        await store.drop(new)
    await store.delete_alias(alias)
    with pytest.raises(NotFound):
        await search(store, alias, unit(1), k=1)
    with pytest.raises(NotFound):
        await store.delete_alias(alias)
    await store.drop(new)


async def test_an_alias_takes_the_name_of_a_collection_only_where_it_replaces_it(store, name):
    new = f"{name}-new"
    await store.upsert(name, MODEL, [stored("old", unit(1))])
    await store.upsert(new, "other-model", [stored("new", unit(1))])
    with pytest.raises(Conflict, match="is a collection"):
        await store.set_alias(name, new)
    with pytest.raises(Conflict, match="is a collection"):
        await store.set_alias(name, name, replace_collection=True)
    assert await seen(store, name) == {"old"}
    await store.set_alias(name, new, replace_collection=True)
    assert await seen(store, name) == {"new"}
    assert [info.name for info in await store.collections() if info.name.startswith(name)] == [new]


TEXTS = {
    "engine": "The jet engine of the aircraft burned kerosene.",
    "engines": "Engines: a history of engine design, engine by engine.",
    "wing": "The wing bends upwards in flight.",
    "tea": "A cup of tea with milk.",
}


def texts() -> list[StoredPassage]:
    return [
        stored(id_, unit(1, at), text=text, title="Flying", document_id=id_, index=at)
        for at, (id_, text) in enumerate(TEXTS.items())
    ]


async def test_the_sparse_side_finds_words_and_knows_the_cosine_of_what_it_finds(store, name):
    await store.upsert(name, MODEL, texts())
    found = await store.search(name, Query(vector=unit(1), text="jet engines", k=3))
    assert [passage.id for passage in found.dense] == ["engine", "engines", "wing"]
    assert [passage.id for passage in found.sparse] == ["engine", "engines"]
    scores = [passage.sparse_score for passage in found.sparse]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0
    cosines = {f"{id_}": unit(1, at)[0] for at, id_ in enumerate(TEXTS)}
    for passage in (*found.dense, *found.sparse):
        assert passage.score == pytest.approx(cosines[passage.id], abs=1e-5)
    assert all(passage.sparse_score is None for passage in found.dense)
    (tea,) = (await store.search(name, Query(vector=unit(1), text="tea", k=1))).sparse
    assert (tea.id, tea.score) == ("tea", pytest.approx(cosines["tea"], abs=1e-5))


async def test_the_sparse_side_reads_the_header_too_and_can_be_searched_alone(store, name):
    await store.upsert(name, MODEL, texts())
    found = await store.search(name, Query(text="FLYING", k=9))
    assert {passage.id for passage in found.sparse} == set(TEXTS)
    assert (found.dense, {passage.score for passage in found.sparse}) == ([], {None})
    found = await store.search(name, Query(vector=unit(1), text="tea", dense=False, k=9))
    assert (found.dense, [passage.id for passage in found.sparse]) == ([], ["tea"])
    assert found.sparse[0].score is not None
    for nothing in ("", "the of and", "unheard"):
        assert await store.search(name, Query(text=nothing, k=9)) == Candidates()


async def test_a_rare_word_counts_more_than_a_frequent_one(store, name):
    many = [stored(f"p{i}", unit(1, i), text="common words here") for i in range(20)]
    await store.upsert(name, MODEL, [*many, stored("rare", unit(0, 1), text="seldom words here")])
    found = await store.search(name, Query(text="common seldom", k=2))
    assert found.sparse[0].id == "rare"
    scores = [passage.sparse_score for passage in found.sparse]
    assert scores[0] > 3 * scores[1] > 0


async def test_both_sides_keep_to_the_filter_and_to_what_is_published(store, name):
    await store.upsert(name, MODEL, texts())
    where = {"document_id": ["engines", "wing"]}
    found = await store.search(name, Query(vector=unit(1), text="engine wing tea", k=9, where=where))
    assert (
        {passage.id for passage in found.dense}
        == {passage.id for passage in found.sparse}
        == {"engines", "wing"}
    )
    staged = stored("new", unit(1), text="engine engine", document_id="wing", revision="2")
    await store.upsert(name, MODEL, [staged], staged=True)
    for id_, published in (("wing", False), ("new", True)):
        if published:
            await store.publish(name, "wing", "2")
        found = await store.search(name, Query(vector=unit(1), text="engine wing", k=9))
        assert {passage.id for passage in found.dense} == {"engine", "engines", "tea", id_}
        assert {passage.id for passage in found.sparse} == {"engine", "engines", id_}


async def test_vectors_come_with_the_candidates_where_asked(store, name):
    await store.upsert(name, MODEL, [stored("a", [3.0, 4.0, *[0.0] * 6], text="alpha"), *texts()])
    found = await store.search(name, Query(vector=unit(1), text="alpha", k=2, with_vectors=True))
    assert set(found.vectors) == {passage.id for passage in (*found.dense, *found.sparse)}
    assert found.vectors["a"].tolist() == pytest.approx(unit(3, 4), abs=1e-6)
    assert (await store.search(name, Query(vector=unit(1), text="alpha", k=2))).vectors == {}


CODES = {
    "E-4711": "Error E-4711: the pump does not start.",
    "0x80070005": "Code 0x80070005 means that access is denied.",
    "C++": "The driver is written in C++.",
    "C#": "The tool is written in C#.",
    "v2.3.10": "Version 2.3.10 mends the valve.",
    "PPR9087": "Part PPR-9087 has a torque of 35 Nm.",
    "PPR-9088": "Part PPR9088 has a torque of 36 Nm.",
    "AB/123/C": "The seal (AB/123/C) is red.",
    "trq_max_17": "Set trq_max_17 in the file.",
    "RFC 2119": "Words as in RFC2119.",
    "geb\u00fchr": "Die Ge\u00adb\u00fchr f\u00fcr den Wasser\u00adanschluss.",
    "efficiency": "The e\ufb03ciency \ufb01gure.",
}


@pytest.mark.parametrize("old", [False, True], ids=["new-index", "index-without-keys"])
async def test_an_identifier_finds_its_passage_however_it_is_written(store, name, old, monkeypatch):
    """An index that was filled before identifiers had terms of their own finds them by their parts."""
    if old:
        monkeypatch.setattr("services.retrieval.sparse.read_terms", lambda text: [])
    others = [
        f"Part PPR-{number} has a torque of {number % 90} Nm, error E-{number}."
        for number in range(5000, 5060)
    ]
    texts = [*CODES.values(), *others]
    await store.upsert(name, MODEL, [stored(str(at), unit(1), text=text) for at, text in enumerate(texts)])
    for at, question in enumerate(CODES):
        if old and question in {"C++", "C#", "RFC 2119"}:
            continue  # an old index knows the letter alone, and RFC2119 as one word
        found = (await store.search(name, Query(text=question, k=3))).sparse
        assert found[0].text == list(CODES.values())[at], question
