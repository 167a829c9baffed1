"""The embedded store's promises about crashes, by its parts and with real files."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time

import numpy as np
import pytest

from services.core.addresses import StoreAddress
from services.core.errors import NotFound, ServiceUnavailable
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Candidates, Query
from services.retrieval.backends.edge import EdgeStore, create
from services.retrieval.backends.edge.catalogue import Catalogue
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.backends.edge.files import TokenFile
from services.retrieval.backends.edge.shard import Shard
from services.retrieval.backends.edge.threads import CollectionThreads
from services.retrieval.collections import Schema
from services.retrieval.points import Point, make_points
from services.retrieval.settings import VECTOR_URL

DIM = 4


async def search(store, name, vector, *, k, where=None) -> list[Passage]:
    return (await store.search(name, Query(vector=vector, k=k, where=where))).dense


def tokens(seed: int) -> TokenVectors:
    return TokenVectors(data=bytes([seed]) * 8, tokens=2, dim=DIM)


def stored(id_: str, seed: int | None = 0, **fields) -> StoredPassage:
    return StoredPassage(
        passage=Passage(id=id_, document_id="d", text="t", **fields),
        vector=[1.0, 0.0, 0.0, 0.0],
        token_vectors=None if seed is None else tokens(seed),
    )


def points(*passages: StoredPassage) -> list[Point]:
    return make_points(passages)


def delete(collection: EdgeCollection, keep: str | None = None) -> int:
    pairs, count = collection.hide("d", keep=keep, only=None)
    collection.purge(pairs)
    return count


def rows(folder) -> int:
    database = sqlite3.connect(folder / "tokens.db")
    (count,) = database.execute("select count(*) from token_vectors").fetchone()
    database.close()
    return count


def disk(folder) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


class PowerFailure(Exception):
    pass


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "c"


@pytest.mark.parametrize("step", ["upsert", "save"])
def test_a_write_that_stops_between_its_two_parts_leaves_no_orphans(folder, monkeypatch, step):
    collection = EdgeCollection.create(folder, DIM)
    collection.upsert(points(stored("p", 1), stored("q", 2)))

    def stop(*_: object) -> None:
        raise PowerFailure

    with monkeypatch.context() as patch:
        patch.setattr(Shard, step, stop)
        with pytest.raises(PowerFailure):
            collection.upsert(points(stored("p", 3), stored("r", 4)))
    assert rows(folder) == 4
    found = collection.token_vectors(["p", "q", "r"])
    assert found["q"] == tokens(2)
    # The point decides: both of a passage's parts are old, or both are new.
    assert found["p"] == tokens(1 if step == "upsert" else 3)
    collection.close()

    collection = EdgeCollection.load(folder)
    assert collection.token_vectors(["p", "q", "r"]) == found
    assert rows(folder) == len(found)
    collection.close()


def test_a_deletion_that_stops_before_its_token_vectors_leaves_no_orphans(folder, monkeypatch):
    collection = EdgeCollection.create(folder, DIM)
    collection.upsert(points(stored("p", 1), stored("q", 2)))

    def stop(*_: object) -> None:
        raise PowerFailure

    with monkeypatch.context() as patch:
        patch.setattr(TokenFile, "remove", stop)
        with pytest.raises(PowerFailure):
            delete(collection)
    assert collection.token_vectors(["p", "q"]) == {}
    collection.close()
    EdgeCollection.load(folder).close()
    assert rows(folder) == 0


def test_a_clean_close_needs_no_sweep_and_a_missing_one_does(folder):
    collection = EdgeCollection.create(folder, DIM)
    collection.upsert(points(stored("p", 1)))
    collection.close()
    file = TokenFile(folder / "tokens.db")
    assert not file.crashed
    file.add([tokens(9)])
    file.close(clean=False)
    file = TokenFile(folder / "tokens.db")
    assert file.crashed
    file.close(clean=False)
    EdgeCollection.load(folder).close()
    assert rows(folder) == 1


def test_a_row_number_is_never_used_again(folder):
    folder.mkdir()
    file = TokenFile(folder / "tokens.db")
    first, second = file.add([tokens(1), tokens(2)])
    file.remove([second])
    (third,) = file.add([tokens(3)])
    assert third not in {first, second}
    assert file.read([first, second, third]) == {first: tokens(1), third: tokens(3)}
    file.close(clean=True)


def test_a_batch_of_rows_is_stored_whole_or_not_at_all(folder):
    folder.mkdir()
    file = TokenFile(folder / "tokens.db")
    broken = TokenVectors.model_construct(tokens=1, dim=1, data=object())
    with pytest.raises(sqlite3.Error):
        file.add([tokens(1), broken])
    file.close(clean=True)
    assert rows(folder) == 0


def test_opening_gives_back_the_space_of_deleted_passages(folder):
    def noise() -> str:
        return os.urandom(2000).hex()

    collection = EdgeCollection.create(folder, DIM)
    many = points(*(stored(f"p{i}", None, metadata={"noise": noise()}) for i in range(3000)))
    collection.upsert(many)
    kept = points(stored("kept", 7, revision="new"))
    collection.upsert(kept)
    assert delete(collection, keep="new") == 3000
    collection.close()
    segments = folder / "shard" / "segments"
    before = disk(segments)
    EdgeCollection.load(folder).close()
    assert disk(segments) < before / 10
    collection = EdgeCollection.load(folder)
    assert (collection.count(), collection.token_vectors(["kept"])) == (1, {"kept": tokens(7)})
    collection.close()


def test_overwriting_does_not_grow_the_rows(folder):
    collection = EdgeCollection.create(folder, DIM)
    for seed in range(5):
        collection.upsert(points(stored("p", seed), stored("q", seed)))
    collection.upsert(points(stored("q", None)))
    assert rows(folder) == 1
    collection.close()


def test_what_a_crash_left_of_a_creation_is_swept_and_nothing_else(tmp_path):
    catalogue = Catalogue(tmp_path)
    kept = catalogue.reserve("kept", Schema("m", DIM))
    lost = catalogue.reserve("lost", Schema("m", DIM))
    for entry in (kept, lost):
        EdgeCollection.create(entry.folder, DIM).close()
    catalogue.add(kept)
    catalogue.close()
    (tmp_path / "mine.txt").write_text("not the store's")
    catalogue = Catalogue(tmp_path)
    assert list(catalogue.entries) == ["kept"]
    assert [path.name for path in (tmp_path / "collections").iterdir()] == [kept.folder.name]
    assert (tmp_path / "mine.txt").exists()
    catalogue.close()


def test_a_directory_has_one_owner_and_is_free_after_it(tmp_path):
    catalogue = Catalogue(tmp_path)
    with pytest.raises(ServiceUnavailable, match=f"{tmp_path} is in use by another process"):
        Catalogue(tmp_path)
    catalogue.close()
    Catalogue(tmp_path).close()


def test_a_store_of_a_later_format_is_left_alone(tmp_path):
    Catalogue(tmp_path).close()
    database = sqlite3.connect(tmp_path / "catalogue.db")
    database.execute("pragma user_version=99")
    database.close()
    with pytest.raises(ServiceUnavailable, match="format 99"):
        Catalogue(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable, match=f"{tmp_path}/file/vectors cannot be used"):
        Catalogue(tmp_path / "file" / "vectors")


async def written(store: EdgeStore, passages: int) -> None:
    """Return as soon as this many are stored."""
    while (await store.collections())[0].passages < passages:
        pass


async def open_store(tmp_path) -> EdgeStore:
    return await create(StoreAddress.parse(VECTOR_URL, f"edge://{tmp_path}"))


async def test_a_collection_whose_files_are_gone_says_what_to_do_and_can_be_dropped(tmp_path):
    store = await open_store(tmp_path)
    await store.upsert("c", "m", [stored("p")])
    await store.close()
    (shard,) = tmp_path.glob("collections/c.*/shard")
    shard.rename(tmp_path / "elsewhere")
    store = await open_store(tmp_path)
    with pytest.raises(ServiceUnavailable, match="DELETE /v1/collections/c"):
        await search(store, "c", [1.0] * DIM, k=1)
    await store.drop("c")
    with pytest.raises(NotFound):
        await search(store, "c", [1.0] * DIM, k=1)
    await store.close()


async def test_dropping_during_an_upsert_ends_it_with_an_error_and_leaves_no_files(tmp_path):
    store = await open_store(tmp_path)
    await store.upsert("c", "m", [stored("p")])
    writing = asyncio.ensure_future(store.upsert("c", "m", [stored(f"p{i}") for i in range(2000)]))
    await written(store, 2)
    await store.drop("c")
    with pytest.raises(NotFound):
        await writing
    assert list((tmp_path / "collections").iterdir()) == []
    await store.close()


async def test_a_cancelled_upsert_leaves_whole_passages(tmp_path):
    store = await open_store(tmp_path)
    await store.upsert("c", "m", [stored("first")])
    writing = asyncio.ensure_future(store.upsert("c", "m", [stored(f"p{i}", i % 250) for i in range(2000)]))
    await written(store, 100)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    count = (await store.collections())[0].passages
    found = await store.token_vectors("c", ["first", *(f"p{i}" for i in range(999))])
    assert 100 <= count < 2001
    await store.close()
    (tokens_file,) = tmp_path.glob("collections/c.*")
    assert rows(tokens_file) >= len(found)


async def test_a_search_does_not_wait_for_a_write(tmp_path):
    catalogue = Catalogue(tmp_path)
    entry = catalogue.reserve("c", Schema("m", DIM))
    threads = CollectionThreads(entry, EdgeCollection.create(entry.folder, DIM))
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_: EdgeCollection) -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)

    writing = asyncio.ensure_future(threads.write(slow))
    query = np.ones(DIM, dtype=np.float32)
    assert await threads.read(lambda held: held.search(Query(k=1), query, [])) == Candidates()
    assert not writing.done()
    release.set()
    await writing
    await threads.close()
    with pytest.raises(NotFound):
        await threads.read(EdgeCollection.count)
    catalogue.close()


async def test_a_search_does_not_see_what_is_staged_while_it_looks(folder, monkeypatch):
    store = EdgeStore(Catalogue(folder))
    await store.upsert("c", "m", [stored("old", revision="1")])
    find = Shard.search
    staging: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def begin() -> None:
        staging.append(
            asyncio.create_task(store.upsert("c", "m", [stored("new", revision="2")], staged=True))
        )

    def slow(self, *args, **kwargs):
        if not staging:
            loop.call_soon_threadsafe(begin)
            time.sleep(0.3)  # long enough to be staged and stored, were it not held back
        return find(self, *args, **kwargs)

    monkeypatch.setattr(Shard, "search", slow)
    assert [passage.id for passage in await search(store, "c", [1, 0, 0, 0], k=9)] == ["old"]
    await staging[0]
    assert [passage.id for passage in await search(store, "c", [1, 0, 0, 0], k=9)] == ["old"]
    await store.close()
