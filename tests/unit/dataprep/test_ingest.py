"""Ingestion: what is written when, and what is left when something fails midway."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from services.core.context import remaining, set_deadline
from services.core.errors import Conflict, InvalidRequest, PayloadTooLarge, RaglineError, ServiceUnavailable
from services.core.metrics import Metrics
from services.core.wire.dataprep import IngestedFile, IngestProgress
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.dataprep.chunking import Chunking
from services.dataprep.document import Limits
from services.dataprep.ingest import Batching, Ingestor
from services.dataprep.sandbox import Sandbox
from services.dataprep.uploads import Upload


class Embedding:
    """Vectors of one number; fails at call number `fail_at`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls = 0
        self.fail_at = 0
        self.short = False
        self.with_tokens = True

    async def encode(
        self, texts: Sequence[str], *, token_vectors: bool, truncate: bool = True
    ) -> EncodeReply:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ServiceUnavailable("embedding is down", service="embedding")
        self.texts += texts
        await asyncio.sleep(0)
        count = len(texts) - self.short
        tokens = (
            [TokenVectors(tokens=0, dim=1, data="")] * count if token_vectors and self.with_tokens else None
        )
        return EncodeReply(model="m", dim=1, embeddings=[[1.0]] * count, token_vectors=tokens)


class Store:
    """Passages by id; fails at upsert number `fail_at`."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredPassage] = {}
        self.upserts = 0
        self.fail_at = 0
        self.failure: RaglineError = ServiceUnavailable("retrieval is down", service="retrieval")
        self.deadlines: list[float | None] = []

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        self.upserts += 1
        if self.upserts == self.fail_at:
            raise self.failure
        await asyncio.sleep(0)
        self.rows |= {stored.passage.id: stored for stored in passages}

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        self.deadlines.append(remaining())
        await asyncio.sleep(0)
        doomed = [
            row.passage.id
            for row in self.rows.values()
            if row.passage.document_id == document_id and row.passage.revision != keep_revision
        ]
        for each in doomed:
            del self.rows[each]
        return len(doomed)

    async def documents(self, collection: str) -> list[DocumentInfo]:
        counts: dict[tuple[str, str, str], int] = {}
        for passage in self.passages:
            key = (passage.document_id, passage.title, passage.revision)
            counts[key] = counts.get(key, 0) + 1
        best: dict[str, DocumentInfo] = {}
        for (id_, name, revision), count in counts.items():
            if id_ not in best or best[id_].passages < count:
                best[id_] = DocumentInfo(id=id_, name=name, revision=revision, passages=count)
        return list(best.values())

    @property
    def passages(self) -> list[Passage]:
        return [row.passage for row in self.rows.values()]

    @property
    def text(self) -> str:
        return " ".join(passage.text for passage in sorted(self.passages, key=lambda each: each.index))


class World:
    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.embedding = Embedding()
        self.store = Store()
        self._folder = folder
        self.ingestor = Ingestor(
            self.embedding,  # type: ignore[arg-type]  # a stand-in of the methods that are used
            self.store,  # type: ignore[arg-type]
            sandbox,
            Metrics("dataprep"),
            Batching(2, token_vectors=True),
        )

    def upload(self, text: str, name: str = "guide/a.md", *, too_large: bool = False) -> Upload:
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        path = self._folder / digest
        path.write_bytes(data)
        return Upload(name, path, len(data), digest, too_large)

    async def steps(
        self, text: str, name: str = "guide/a.md", *, chunking: Chunking | None = None
    ) -> list[IngestProgress | IngestedFile]:
        run = self.ingestor.ingest(self.upload(text, name), "c", chunking or Chunking(50, 0))
        return [step async for step in run]

    async def ingest(
        self, text: str, name: str = "guide/a.md", *, chunking: Chunking | None = None
    ) -> IngestedFile:
        last = (await self.steps(text, name, chunking=chunking))[-1]
        assert isinstance(last, IngestedFile)
        return last


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    sandbox = Sandbox(processes=2, seconds=20, memory_bytes=1 << 30, limits=Limits())
    yield World(tmp_path, sandbox)
    await sandbox.close()


OLD = "# Old\n\n" + "\n\n".join(f"Old paragraph number {number} says this." for number in range(5))
NEW = "# New\n\n" + "\n\n".join(f"New paragraph number {number} says that." for number in range(7))


async def test_passages_are_exact_and_embedded_with_their_header(world: World) -> None:
    result = await world.ingest(OLD)
    assert (result.status, result.passages, result.name) == ("ingested", 5, "guide/a.md")
    for passage in world.store.passages:
        assert passage.text == OLD[passage.start : passage.end]
        assert (passage.title, passage.section, passage.page) == ("guide/a.md", "Old", None)
        assert (passage.document_id, passage.revision) == (result.document_id, result.revision)
    assert sorted(passage.index for passage in world.store.passages) == [0, 1, 2, 3, 4]
    assert world.embedding.texts[1] == "guide/a.md > Old\nOld paragraph number 1 says this."
    assert all(row.token_vectors for row in world.store.rows.values())


async def test_progress_is_told_by_stage(world: World) -> None:
    steps = await world.steps(OLD)
    told = [(step.stage, step.done, step.total) for step in steps if isinstance(step, IngestProgress)]
    assert told == [
        ("parsed", 5, 5),
        ("embedded", 2, 5),
        ("embedded", 4, 5),
        ("embedded", 5, 5),
        ("stored", 5, 5),
    ]


async def test_a_service_without_token_vectors_will_do(world: World) -> None:
    world.embedding.with_tokens = False
    await world.ingest(OLD)
    assert all(row.token_vectors is None for row in world.store.rows.values())


async def test_the_same_again_is_unchanged_and_not_embedded(world: World) -> None:
    first = await world.ingest(OLD)
    calls, upserts = world.embedding.calls, world.store.upserts
    again = await world.ingest(OLD)
    assert again == first.model_copy(update={"status": "unchanged"})
    assert (world.embedding.calls, world.store.upserts) == (calls, upserts)


async def test_other_chunking_is_another_revision(world: World) -> None:
    first = await world.ingest(OLD)
    second = await world.ingest(OLD, chunking=Chunking(90, 0))
    assert second.status == "ingested"
    assert second.document_id == first.document_id
    assert {passage.revision for passage in world.store.passages} == {second.revision}


async def test_a_new_revision_replaces_the_old_one_only(world: World) -> None:
    await world.ingest("# Else\n\nAnother document.", "b.md")
    await world.ingest(OLD)
    await world.ingest(NEW)
    assert "Old" not in world.store.text
    assert "Another document." in world.store.text
    assert "New paragraph number 6" in world.store.text


async def test_a_half_written_revision_is_not_called_unchanged(world: World) -> None:
    """As a process that was killed leaves it."""
    first = await world.ingest(OLD)
    world.store.rows.popitem()
    again = await world.ingest(OLD)
    assert (again.status, again.passages) == ("ingested", 5)
    assert len(world.store.rows) == 5
    assert again.revision == first.revision


async def test_a_leftover_of_an_older_revision_is_removed(world: World) -> None:
    await world.ingest(OLD)
    [stale, *_] = world.store.rows.values()
    await world.ingest(NEW)
    world.store.rows[stale.passage.id] = stale
    assert (await world.ingest(NEW)).status == "unchanged"
    assert stale.passage.id not in world.store.rows


@pytest.mark.parametrize("fail_at", [1, 2, 3])
async def test_embedding_fails_midway(world: World, fail_at: int) -> None:
    world.embedding.fail_at = fail_at
    with pytest.raises(ServiceUnavailable, match="embedding is down"):
        await world.ingest(OLD)
    assert world.store.rows == {}
    assert world.store.upserts == fail_at - 1


@pytest.mark.parametrize("fail_at", [1, 2, 3])
async def test_the_store_fails_midway_of_a_replacement(world: World, fail_at: int) -> None:
    await world.ingest(OLD)
    before = dict(world.store.rows)
    world.store.fail_at = world.store.upserts + fail_at
    world.store.failure = Conflict("another model")
    with pytest.raises(Conflict):
        await world.ingest(NEW)
    assert world.store.rows == before


async def test_a_reply_of_the_wrong_length_is_an_error(world: World) -> None:
    world.embedding.short = True
    with pytest.raises(RaglineError, match="vectors"):
        await world.ingest(OLD)
    assert world.store.rows == {}


async def test_what_was_written_is_removed_after_the_deadline_too(world: World) -> None:
    world.embedding.fail_at = 3
    set_deadline(0)
    with pytest.raises(ServiceUnavailable):
        await world.ingest(OLD)
    assert world.store.rows == {}
    assert world.store.deadlines[-1] == pytest.approx(10, abs=1)
    assert remaining() == 0


@pytest.mark.parametrize("until", ["parsed", "embedded"])
async def test_a_client_that_leaves_leaves_nothing(world: World, until: str) -> None:
    async with aclosing(world.ingestor.ingest(world.upload(OLD), "c", Chunking(50, 0))) as steps:
        async for step in steps:
            if isinstance(step, IngestProgress) and step.stage == until:
                break
    assert world.store.rows == {}
    assert (await world.ingest(OLD)).status == "ingested"


async def test_a_cancelled_ingestion_leaves_nothing(world: World) -> None:
    gate = asyncio.Event()
    upsert = world.store.upsert

    async def stuck(collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        await upsert(collection, model, passages)
        gate.set()
        await asyncio.sleep(60)

    world.store.upsert = stuck  # type: ignore[method-assign]
    task = asyncio.ensure_future(world.ingest(OLD))
    await gate.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert world.store.rows == {}


async def test_the_same_document_is_written_by_one_at_a_time(world: World) -> None:
    texts = [OLD, NEW, OLD, NEW]
    results = await asyncio.gather(*(world.ingest(text) for text in texts))
    last = {passage.revision for passage in world.store.passages}
    assert len(last) == 1
    assert last <= {result.revision for result in results}
    assert len(world.store.rows) in {5, 7}


Refused = Callable[[World], Upload]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (lambda world: world.upload("text", "../a.md"), InvalidRequest),
        (lambda world: world.upload("text", ""), InvalidRequest),
        (lambda world: world.upload("", "a.md"), InvalidRequest),
        (lambda world: world.upload("text", "a.md", too_large=True), PayloadTooLarge),
    ],
)
async def test_a_bad_file_reaches_no_service(
    world: World, refused: Refused, error: type[InvalidRequest]
) -> None:
    with pytest.raises(error):
        [step async for step in world.ingestor.ingest(refused(world), "c", Chunking())]
    assert (world.embedding.calls, world.store.upserts, world.store.deadlines) == (0, 0, [])
