"""Ingestion: what is written when, what readers see of it, and what is left when something fails midway."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.core.addresses import StoreAddress
from services.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RaglineError,
    ServiceUnavailable,
)
from services.core.metrics import Metrics
from services.core.wire.dataprep import Job, JobFile
from services.core.wire.embedding import EmbeddingInfo, EncodeReply, Token
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.dataprep.backends.sqlite.store import SqliteJobs, create
from services.dataprep.documents import Documents
from services.dataprep.jobs.ingest import Batching, Ingestor
from services.dataprep.jobs.metrics import JobMetrics
from services.dataprep.jobs.store import JOBS_URL, IngestOrder, JobLimits, UploadedFile
from services.dataprep.jobs.worker import Runner, Workers
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.document import Limits
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.upload.names import clean_name, document_id

DOWN = ServiceUnavailable("embedding is down", service="embedding")


class Embedding:
    """Vectors of one number; the calls whose numbers are in `failing` fail; waits for `gate` where one is set.

    Every character of a text is a token.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls = 0
        self.failing: dict[int, RaglineError] = {}
        self.short = False
        self.with_tokens = True
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most_under_way = 0
        self.window = 100_000
        self.tokenized = 0

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo(model_id="m", max_input_length=self.window)

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        self.tokenized += 1
        return [[Token(0, letter, False, at, at + 1) for at, letter in enumerate(text)] for text in texts]

    async def encode(
        self, texts: Sequence[str], *, token_vectors: bool, truncate: bool = True
    ) -> EncodeReply:
        self.calls += 1
        if self.calls in self.failing:
            raise self.failing[self.calls]
        if not truncate and max(map(len, texts)) > self.window:
            raise PayloadTooLarge(f"more than {self.window} tokens")
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        finally:
            self.under_way -= 1
        self.texts += texts
        count = len(texts) - self.short
        tokens = (
            [TokenVectors(tokens=0, dim=1, data="")] * count if token_vectors and self.with_tokens else None
        )
        return EncodeReply(model="m", dim=1, embeddings=[[1.0]] * count, token_vectors=tokens)


class Store:
    """Passages by id, hidden until their revision is published; the calls in `failing` fail."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredPassage] = {}
        self.visible: dict[str, str] = {}
        self.upserts = 0
        self.calls: list[str] = []
        self.failing: dict[int, RaglineError] = {}
        self.gate: asyncio.Event | None = None
        self.publishing: asyncio.Event = asyncio.Event()

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        assert staged
        self.upserts += 1
        self.calls.append("upsert")
        if self.upserts in self.failing:
            raise self.failing[self.upserts]
        await asyncio.sleep(0)
        self.rows |= {stored.passage.id: stored for stored in passages}

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        self.calls.append("publish")
        stored = [row for row in self.rows.values() if row.passage.revision == revision]
        if not stored or len(stored) != passages:
            raise Conflict("not all of it is stored")
        self.publishing.set()
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        self.visible[document_id] = revision
        others = [
            id_
            for id_, row in self.rows.items()
            if row.passage.document_id == document_id and row.passage.revision != revision
        ]
        for id_ in others:
            del self.rows[id_]
        return len(others)

    async def delete(self, collection: str, document_id: str, *, revision: str | None = None) -> int:
        self.calls.append("delete")
        doomed = [
            row.passage.id
            for row in self.rows.values()
            if row.passage.document_id == document_id and revision in {None, row.passage.revision}
        ]
        for each in doomed:
            del self.rows[each]
        if revision in {None, self.visible.get(document_id)}:
            self.visible.pop(document_id, None)
        return len(doomed)

    async def documents(self, collection: str) -> list[DocumentInfo]:
        self.calls.append("documents")
        return [DocumentInfo(id=id_, name=id_, revision=rev, passages=1) for id_, rev in self.visible.items()]

    @property
    def passages(self) -> list[Passage]:
        """What readers see."""
        seen = [row.passage for row in self.rows.values()]
        return [each for each in seen if self.visible.get(each.document_id) == each.revision]

    @property
    def text(self) -> str:
        return " ".join(passage.text for passage in sorted(self.passages, key=lambda each: each.index))


class World:
    """A worker on a real job store, between stand-ins of the services."""

    def __init__(self, jobs: SqliteJobs, sandbox: Sandbox) -> None:
        self.embedding = Embedding()
        self.store = Store()
        self.jobs = jobs
        self.sandbox = sandbox
        self.documents = Documents(self.store, jobs)  # type: ignore[arg-type]  # a stand-in, as below

    def runner(self, workers: int = 2, retry_seconds: float = 0.0) -> Runner:
        metrics = Metrics("dataprep")
        ingestor = Ingestor(
            self.embedding,  # type: ignore[arg-type]  # a stand-in of the methods that are used
            self.store,  # type: ignore[arg-type]
            self.sandbox,
            metrics,
            Batching(2, token_vectors=True),
        )
        return Runner(self.jobs, ingestor, JobMetrics(metrics), Workers(workers, retry_seconds))

    @asynccontextmanager
    async def working(self, workers: int = 2, retry_seconds: float = 0.0) -> AsyncIterator[None]:
        work = asyncio.ensure_future(self.runner(workers, retry_seconds).run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def submit(
        self,
        *texts: str | bytes,
        name: str = "guide/a.md",
        chunking: Chunking | None = None,
        encoding: str = "",
        strict: bool = False,
    ) -> Job:
        """One text is the document `name`, several are `0-guide/a.md` and so on."""
        async with self.jobs.incoming() as folder:
            received = []
            for number, text in enumerate(texts):
                path = folder / str(number)
                data = text.encode() if isinstance(text, str) else text
                path.write_bytes(data)
                shown = clean_name(name if len(texts) == 1 else f"{number}-{name}")
                file = JobFile(name=shown, document_id=document_id(shown), size=len(data))
                received.append(UploadedFile(file, hashlib.sha256(data).hexdigest(), path))
            order = IngestOrder("c", chunking or Chunking(50, 0), encoding=encoding, strict=strict)
            return await self.jobs.submit(order, received)

    async def seen(self, job: Job) -> list[Job]:
        """The job at each change until its end."""
        async with asyncio.timeout(20):
            return [now async for now in self.jobs.changes(job.id)]

    async def until(self, job: Job, told: Callable[[JobFile], bool]) -> JobFile:
        """The first file, once it is so."""
        async with asyncio.timeout(20):
            async for now in self.jobs.changes(job.id):
                if told(now.files[0]):
                    return now.files[0]
        raise AssertionError("it never was")

    async def ingest(
        self, text: str, name: str = "guide/a.md", *, chunking: Chunking | None = None
    ) -> JobFile:
        async with self.working():
            return (await self.seen(await self.submit(text, name=name, chunking=chunking)))[-1].files[0]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    sandbox = Sandbox(processes=2, seconds=20, memory_bytes=1 << 30, limits=Limits())
    jobs = await create(StoreAddress.parse(JOBS_URL, f"sqlite://{tmp_path}/jobs"), JobLimits(100, 100, 3600))
    yield World(jobs, sandbox)
    await jobs.close()
    await sandbox.close()


OLD = "# Old\n\n" + "\n\n".join(f"Old paragraph number {number} says this." for number in range(5))
NEW = "# New\n\n" + "\n\n".join(f"New paragraph number {number} says that." for number in range(7))


async def test_passages_are_exact_and_embedded_with_their_header(world: World) -> None:
    result = await world.ingest(OLD)
    assert (result.status, result.outcome, result.passages) == ("done", "ingested", 5)
    assert (result.embedded, result.stored, result.name) == (5, 5, "guide/a.md")
    for passage in world.store.passages:
        assert passage.text == OLD[passage.start : passage.end]
        assert (passage.title, passage.section, passage.page) == ("guide/a.md", "Old", None)
        assert (passage.document_id, passage.revision) == (result.document_id, result.revision)
    assert sorted(passage.index for passage in world.store.passages) == [0, 1, 2, 3, 4]
    assert "guide/a.md > Old\nOld paragraph number 1 says this." in world.embedding.texts
    assert all(row.token_vectors for row in world.store.rows.values())


async def test_batches_are_embedded_ahead_of_the_one_that_is_stored(world: World) -> None:
    world.embedding.gate = asyncio.Event()
    async with world.working():
        job = await world.submit(OLD)
        await world.until(job, lambda file: file.passages == 5)
        await asyncio.sleep(0.05)
        assert world.embedding.under_way == 2
        assert world.store.upserts == 0
        world.embedding.gate.set()
        await world.seen(job)
    assert world.embedding.most_under_way == 2
    assert world.store.calls == ["publish", "upsert", "upsert", "upsert", "publish"]


async def test_the_cost_of_a_file_does_not_depend_on_how_many_there_are(world: World) -> None:
    await world.ingest(OLD)
    assert "documents" not in world.store.calls


async def test_a_document_of_one_request_is_not_counted_first(world: World) -> None:
    result = await world.ingest("# A\n\nShort enough.")
    assert (result.status, result.passages) == ("done", 1)
    assert (world.embedding.tokenized, world.embedding.calls) == (0, 1)


async def test_a_document_of_one_request_that_does_not_fit_is_cut(world: World) -> None:
    text = "One sentence is here. Another one is there."
    world.embedding.window = 40  # the header takes 11
    result = await world.ingest(text, "guide/a.md")
    assert (result.status, result.outcome, result.passages) == ("done", "ingested", 2)
    assert [passage.text for passage in world.store.passages] == [text[:21], text[22:]]
    assert world.embedding.texts == [f"guide/a.md\n{text[:21]}", f"guide/a.md\n{text[22:]}"]
    before = dict(world.store.rows)
    again = await world.ingest(text, "guide/a.md")
    assert (again.outcome, again.passages) == ("unchanged", 2)
    assert world.store.rows == before


async def test_a_window_of_ones_own_is_counted_first(world: World) -> None:
    text = "One sentence is here. Another one is there."
    result = await world.ingest(text, "guide/a.md", chunking=Chunking(50, 0, 40))
    assert (result.outcome, result.passages) == ("ingested", 2)
    assert world.embedding.calls == 1


async def test_a_document_of_several_requests_is_counted_before_the_first_is_stored(world: World) -> None:
    text = "# A\n\nShort.\n\nShort too.\n\n" + "A sentence of more than forty tokens is here."
    world.embedding.window = 40
    result = await world.ingest(text, "a.md", chunking=Chunking(50, 0))
    assert result.passages > 2
    assert world.embedding.tokenized > 0
    assert all(len(each) <= 40 for each in world.embedding.texts)


async def test_a_service_without_token_vectors_will_do(world: World) -> None:
    world.embedding.with_tokens = False
    await world.ingest(OLD)
    assert all(row.token_vectors is None for row in world.store.rows.values())


async def test_the_same_again_is_unchanged_and_not_embedded(world: World) -> None:
    first = await world.ingest(OLD)
    calls, upserts = world.embedding.calls, world.store.upserts
    again = await world.ingest(OLD)
    assert (again.status, again.outcome, again.passages) == ("done", "unchanged", 5)
    assert again.revision == first.revision
    assert (world.embedding.calls, world.store.upserts) == (calls, upserts)


async def test_other_chunking_is_another_revision(world: World) -> None:
    first = await world.ingest(OLD)
    second = await world.ingest(OLD, chunking=Chunking(90, 0))
    assert second.outcome == "ingested"
    assert second.document_id == first.document_id
    assert {row.passage.revision for row in world.store.rows.values()} == {second.revision}


async def test_warnings_are_in_the_result_and_in_the_metadata_also_of_what_is_unchanged(world: World) -> None:
    legacy = "Größe für Köln".encode("cp1252")
    for outcome in ("ingested", "unchanged"):
        async with world.working():
            [file] = (await world.seen(await world.submit(legacy)))[-1].files
        assert (file.status, file.outcome) == ("done", outcome)
        assert [warning.kind for warning in file.warnings] == ["encoding_guessed"]
    assert [passage.metadata for passage in world.store.passages] == [{"warnings": ["encoding_guessed"]}]
    assert (await world.ingest(OLD, "b.md")).warnings == []


async def test_a_named_encoding_is_no_guess_and_another_revision(world: World) -> None:
    legacy = "Größe für Köln".encode("cp1252")
    async with world.working():
        [guessed] = (await world.seen(await world.submit(legacy)))[-1].files
        [named] = (await world.seen(await world.submit(legacy, encoding="cp1250")))[-1].files
    assert named.warnings == []
    assert named.outcome == "ingested"
    assert named.revision != guessed.revision
    assert [passage.metadata for passage in world.store.passages] == [{}]


async def test_strict_makes_warnings_failures(world: World) -> None:
    async with world.working():
        job = await world.submit("Größe für Köln".encode("cp1252"), "fine", strict=True)
        files = (await world.seen(job))[-1].files
    assert [file.status for file in files] == ["failed", "done"]
    assert files[0].error is not None
    assert "strict allows no warning: its encoding is not said and was guessed" in files[0].error.message
    assert files[0].warnings
    assert "Köln" not in world.store.text


async def test_a_new_revision_replaces_the_old_one_only(world: World) -> None:
    await world.ingest("# Else\n\nAnother document.", "b.md")
    await world.ingest(OLD)
    await world.ingest(NEW)
    assert "Old" not in world.store.text
    assert "Another document." in world.store.text
    assert "New paragraph number 6" in world.store.text


async def test_readers_see_the_old_revision_until_the_new_one_is_whole(world: World) -> None:
    await world.ingest(OLD)
    before = world.store.text
    world.store.gate = asyncio.Event()
    world.store.publishing.clear()
    async with world.working():
        job = await world.submit(NEW)
        await asyncio.wait_for(world.store.publishing.wait(), 20)
        assert world.store.text == before
        world.store.gate.set()
        await world.seen(job)
    assert "Old" not in world.store.text


async def test_a_revision_that_was_wholly_stored_is_published_without_embedding_again(world: World) -> None:
    """As a process that was killed just before leaves it."""
    first = await world.ingest(OLD)
    world.store.visible.clear()
    calls = world.embedding.calls
    await world.ingest(OLD)
    assert world.store.visible == {first.document_id: first.revision}
    assert world.embedding.calls == calls


async def test_a_half_stored_revision_is_stored_again(world: World) -> None:
    first = await world.ingest(OLD)
    world.store.visible.clear()
    world.store.rows.popitem()
    again = await world.ingest(OLD)
    assert (again.outcome, again.revision) == ("ingested", first.revision)
    assert len(world.store.passages) == 5


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_embedding_fails_midway(world: World, number: int) -> None:
    world.embedding.failing = {number: DOWN}
    result = await world.ingest(OLD)
    assert result.status == "failed"
    assert result.error is not None
    assert (result.error.code, result.error.service) == ("service_unavailable", "embedding")
    assert world.store.rows == {}


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_the_store_fails_midway_of_a_replacement(world: World, number: int) -> None:
    await world.ingest(OLD)
    before = dict(world.store.rows)
    world.store.failing = {world.store.upserts + number: Conflict("another model")}
    result = await world.ingest(NEW)
    assert result.error is not None
    assert result.error.code == "conflict"
    assert world.store.rows == before


async def test_a_reply_of_the_wrong_length_is_an_error(world: World) -> None:
    world.embedding.short = True
    result = await world.ingest(OLD)
    assert result.error is not None
    assert "vectors" in result.error.message
    assert world.store.rows == {}


async def test_a_bad_file_reaches_no_service(world: World) -> None:
    result = await world.ingest("")
    assert result.error is not None
    assert result.error.code == InvalidRequest.code
    assert (world.embedding.calls, world.store.calls) == (0, [])


async def test_one_bad_file_does_not_fail_the_rest(world: World) -> None:
    async with world.working():
        job = (await world.seen(await world.submit("", OLD, "", NEW)))[-1]
    assert job.status == "done"
    assert [file.status for file in job.files] == ["failed", "done", "failed", "done"]
    assert job.reason.startswith("0-guide/a.md is empty")


async def test_a_service_that_is_down_is_waited_for(world: World) -> None:
    world.embedding.failing = dict.fromkeys(range(2, 1000), DOWN)
    async with world.working(retry_seconds=60):
        job = await world.submit(OLD)
        file = await world.until(job, lambda file: file.status == "waiting")
        assert file.reason == "embedding is down"
        assert (await world.jobs.get(job.id)).reason == file.reason
        world.embedding.failing.clear()
        end = (await world.seen(job))[-1]
    assert (end.status, end.reason, end.files[0].outcome) == ("done", "", "ingested")
    assert len(world.store.passages) == 5


async def test_waiting_has_an_end(world: World) -> None:
    world.embedding.failing = dict.fromkeys(range(1, 1000), DOWN)
    async with world.working(retry_seconds=0.3):
        end = (await world.seen(await world.submit(OLD)))[-1]
    assert end.status == "failed"
    assert "embedding is down; tried for 0.3 s (DATAPREP_RETRY_SECONDS)" in end.reason


async def test_cancelled_while_it_waits(world: World) -> None:
    world.embedding.failing = dict.fromkeys(range(3, 1000), DOWN)
    async with world.working(retry_seconds=60):
        job = await world.submit(OLD)
        await world.until(job, lambda file: file.status == "waiting" and file.stored > 0)
        assert world.store.rows
        await world.jobs.cancel(job.id)
        end = (await world.seen(job))[-1]
    assert end.status == "cancelled"
    assert world.store.rows == {}


async def test_too_late_to_cancel(world: World) -> None:
    world.store.gate = asyncio.Event()
    async with world.working():
        job = await world.submit(OLD)
        await asyncio.wait_for(world.store.publishing.wait(), 20)
        assert (await world.jobs.cancel(job.id)).status == "running"
        await asyncio.sleep(0.05)
        world.store.gate.set()
        assert (await world.seen(job))[-1].status == "done"
    assert len(world.store.passages) == 5


async def test_deleting_a_document_that_is_being_ingested(world: World) -> None:
    """What was accepted before the deletion does not bring it back; what comes after it does."""
    await world.ingest(OLD)
    world.embedding.gate = asyncio.Event()
    async with world.working():
        running, queued = await world.submit(NEW), await world.submit(OLD + " More.")
        file = await world.until(running, lambda file: file.passages > 0)
        assert await world.documents.delete("c", file.document_id) == 5
        for job in (running, queued):
            assert (await world.jobs.get(job.id)).status == "cancelled"
        assert world.store.rows == {}
        assert await world.documents.delete("c", file.document_id) is None
        world.embedding.gate.set()
        await world.seen(await world.submit(NEW))
    assert "New paragraph" in world.store.text


async def test_deleting_while_it_is_published_deletes_it(world: World) -> None:
    world.store.gate = asyncio.Event()
    async with world.working():
        job = await world.submit(OLD)
        await asyncio.wait_for(world.store.publishing.wait(), 20)
        deleting = asyncio.ensure_future(world.documents.delete("c", document_id("guide/a.md")))
        await asyncio.sleep(0.05)
        assert not deleting.done()
        world.store.gate.set()
        assert await asyncio.wait_for(deleting, 20) == 5
        assert (await world.jobs.get(job.id)).status == "done"
    assert world.store.rows == {}


async def test_a_worker_that_is_told_to_stop_gives_its_file_back(world: World) -> None:
    world.embedding.gate = asyncio.Event()
    async with world.working():
        job = await world.submit(OLD)
        await world.until(job, lambda file: file.passages > 0)
    assert (await world.jobs.get(job.id)).status == "queued"
    world.embedding.gate.set()
    async with world.working():
        end = (await world.seen(job))[-1]
    assert (end.status, end.files[0].attempts) == ("done", 2)


async def test_a_mistake_of_ours_fails_the_file_and_not_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with world.working(workers=1):
        with monkeypatch.context() as patch:
            patch.setattr(world.sandbox, "parse", broken)
            end = (await world.seen(await world.submit(OLD)))[-1]
        assert "see its log" in end.reason
        assert (await world.seen(await world.submit(OLD)))[-1].status == "done"


async def test_the_last_submission_of_a_document_wins(world: World) -> None:
    async with world.working(workers=8):
        jobs = [await world.submit(text) for text in (OLD, NEW, OLD, NEW, OLD)]
        await asyncio.gather(*(world.seen(job) for job in jobs))
    assert len(world.store.rows) == 5
    assert "Old paragraph number 4" in world.store.text


async def test_an_unknown_collection_is_no_obstacle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = world.store.publish

    async def unknown_at_first(*of: str, passages: int) -> int:
        if not world.store.rows:
            raise NotFound("collection 'c' does not exist")
        return await publish(*of, passages=passages)

    monkeypatch.setattr(world.store, "publish", unknown_at_first)
    assert (await world.ingest(OLD)).status == "done"
