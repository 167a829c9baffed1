"""A run from its first check to the finished bundle. What is on the disk already is not asked for again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipelines.context import freeze
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, Manifest, RunQuestion
from pipelines.evaluation.bundle.store import BundleStore
from pipelines.evaluation.runner import Count, Watcher, checks
from pipelines.evaluation.runner.asking import LOADING_SECONDS, Asker
from pipelines.evaluation.runner.contexts import Contexts, Ground, collection_of, ground, ingest
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.manifest import manifest
from pipelines.evaluation.runner.plan import Chosen, Options, Unit, asked, schedule
from services.core.errors import Conflict, InvalidRequest, RaglineError, ServiceError
from services.core.wire.compare import ArmRequest

if TYPE_CHECKING:  # they load scipy, which a run without a judge does without
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.runner.judging import Wanted

WARM_UP = "Which is more, two or three?"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is asked of whom, and where the bundle goes."""

    sets: Sequence[Chosen]
    arms: Sequence[ArmRequest]
    options: Options
    folder: Path


async def run(
    evaluation: Evaluation, gateway: Gateway, watcher: Watcher, judge: Wanted | None = None
) -> Bundle:
    """The finished bundle; failed requests are in it as such. A `judge` compares the answers when all of them
    are there, also those of a run that had none.

    Begun in an empty folder, or continued where it was stopped. Raises before any model is asked where the
    arms' entries cannot answer, or the folder holds something else; `ServiceUnavailable` where the gateway
    goes away (what was answered is kept); and what searching and bringing in a corpus raise.
    """
    with _locked(evaluation.folder):
        return await _Run(evaluation, gateway, watcher, judge).all()


@dataclass(slots=True)
class _Run:
    evaluation: Evaluation
    gateway: Gateway
    watcher: Watcher
    wanted: Wanted | None
    judge: Judge | None = None
    questions: dict[str, RunQuestion] = field(default_factory=dict)
    grounds: dict[str, Ground] = field(default_factory=dict)

    @property
    def store(self) -> BundleStore:
        return BundleStore(self.evaluation.folder)

    async def all(self) -> Bundle:
        there = await self._begun()
        contexts = await self._contexts(there)
        units = self._missing(there)
        if units:
            await self._warm_up(there)
            await self._ask(there, contexts, units)
        if self.judge is not None:
            await self._judge(self.judge)
        return self.store.finish()

    async def _begun(self) -> Bundle:
        """Check everything; what the folder then holds of this run."""
        options, sets = self.evaluation.options, self.evaluation.sets
        models = await self.gateway.models()
        arms = checks.resolved(self.evaluation.arms, models)
        for chosen in sets:
            for item in chosen.drawn.items:
                where = ground(chosen, item, options)
                question = asked(chosen.whole, item, where.grounds)
                self.questions[question.id], self.grounds[question.id] = question, where
        ordered = tuple(self.questions.values())
        wanted = manifest(sets, ordered, self.grounds, arms=arms, models=models, options=options)
        if self.wanted is not None:
            from pipelines.evaluation.runner.judging import opened  # noqa: PLC0415 - as above

            self.judge, record = await opened(self.wanted, arms, models)
            wanted = wanted.model_copy(update={"judge": record})
        there = self.store.present()
        if there is None or len(there.contexts) < len(ordered):
            await self._check_collections()
        if there is None:
            self.store.begin(wanted, ordered)
            return Bundle(manifest=wanted, questions=ordered, contexts=(), answers=())
        checks.check_same(there.manifest, wanted, str(self.evaluation.folder))
        if there.manifest.judge is None and wanted.judge is not None:
            added = there.manifest.model_copy(update={"judge": wanted.judge})
            self.store.describe(added)
            there = there.model_copy(update={"manifest": added})
        if there.answers:
            self.watcher.say(f"{len(there.answers)} answers are in {self.evaluation.folder} already")
        return there

    async def _judge(self, judge: Judge) -> None:
        from pipelines.evaluation.runner.judging import judge_all  # noqa: PLC0415 - as above

        answered = self.store.present()
        if answered is not None:
            await judge_all(judge, answered, self.store, self.watcher)

    async def _check_collections(self) -> None:
        """InvalidRequest where there is nothing to search in: a run of closed-book questions is not meant."""
        sets = self.evaluation.sets
        brought = {collection_of(chosen.whole) for chosen in sets if chosen.whole.corpus}
        for name in sorted({each.collection for each in self.grounds.values()} - {"", *brought}):
            if not await self.gateway.documents(name):
                raise InvalidRequest(
                    f"the collection {name!r} holds no documents to answer from: ingest some, name another "
                    "--collection, or ask closed book with --no-retrieve"
                )

    async def _contexts(self, there: Bundle) -> dict[str, Context]:
        """One for each question; those that are not on the disk yet are made and put there."""
        found = {context.question: context for context in there.contexts}
        missing = [question for question in self.questions.values() if question.id not in found]
        if not missing:
            return found
        maker = Contexts(self.gateway, self.evaluation.options, await self._sources(missing))
        self.watcher.begin("contexts", {"contexts": Count(len(found), len(self.questions))})
        with self.store.contexts() as journal:
            for question in missing:
                context = await maker.of(question, self.grounds[question.id])
                journal.append(context)
                found[question.id] = context
                self.watcher.advance("contexts")
        empty = sum(
            not context.context.passages for context in found.values() if context.grounds == "retrieved"
        )
        if empty:
            self.watcher.say(f"nothing was found for {empty} questions: they are asked closed book")
        return found

    async def _sources(self, missing: Sequence[RunQuestion]) -> dict[str, str]:
        """Bring in the corpora that are searched."""
        collections = {self.grounds[question.id].collection for question in missing}
        sources: dict[str, str] = {}
        for chosen in self.evaluation.sets:
            if chosen.whole.corpus and collection_of(chosen.whole) in collections:
                sources |= await ingest(self.gateway, chosen.whole, self.watcher)
        return sources

    def _missing(self, there: Bundle) -> list[Unit]:
        record, answered = there.manifest, {answer.key for answer in there.answers}
        units = schedule(
            list(self.questions),
            [arm.name for arm in record.arms],
            record.conditions.repeats,
            record.conditions.seed,
        )
        return [unit for unit in units if unit.key not in answered]

    async def _warm_up(self, there: Bundle) -> None:
        """Ask each arm something that is not recorded; then see that all their models stay in memory."""
        record = there.manifest
        asker, nothing = Asker(self.gateway), freeze([])
        self.watcher.begin("warm-up", {arm.name: Count(0, record.conditions.warm_up) for arm in record.arms})
        for arm in record.arms:
            for _ in range(record.conditions.warm_up):
                reply, _ = await asker.ask(WARM_UP, arm, nothing, patience=LOADING_SECONDS)
                if reply.error is not None:
                    raise ServiceError(
                        f"arm {arm.name} does not answer: {reply.error.message}", service=reply.error.service
                    )
                self.watcher.advance(arm.name)
        models = await self.gateway.models()
        if record.conditions.warm_up:
            checks.check_resident(record.arms, models)
        if not there.answers:  # by now the engines are open, and say what they are
            used = {arm.model for arm in record.arms}
            self.store.describe(
                record.model_copy(update={"models": tuple(each for each in models if each.id in used)})
            )

    async def _ask(self, there: Bundle, contexts: dict[str, Context], units: Sequence[Unit]) -> None:
        record = there.manifest
        arms = {arm.name: arm for arm in record.arms}
        done = Counter(answer.arm for answer in there.answers)
        waiting = Counter(unit.arm for unit in units)
        self.watcher.begin("asking", {name: Count(done[name], done[name] + waiting[name]) for name in arms})
        clock = asyncio.get_running_loop().time
        start = clock() - max((_end(answer) for answer in there.answers), default=0.0)
        asker, pending = Asker(self.gateway), iter(units)
        with self.store.answers() as journal:

            async def work() -> None:
                for unit in pending:
                    at = clock() - start
                    arm = _seeded(arms[unit.arm], record, unit)
                    frozen = contexts[unit.question].context
                    reply, attempts = await asker.ask(self.questions[unit.question].text, arm, frozen)
                    journal.append(
                        Answer(
                            question=unit.question,
                            arm=unit.arm,
                            repeat=unit.repeat,
                            order=unit.order,
                            at=round(at, 3),
                            attempts=attempts,
                            reply=reply,
                        )
                    )
                    self.watcher.advance(unit.arm, failed=reply.status == "failed")

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(record.conditions.concurrency):
                        group.create_task(work())
            except* (RaglineError, OSError) as failures:
                raise _first(failures) from None


def _seeded(arm: ArmRequest, record: Manifest, unit: Unit) -> ArmRequest:
    """Each repeat has a seed of its own, or it would be the same answer again."""
    first = record.conditions.seed if arm.seed is None else arm.seed
    return arm.model_copy(update={"seed": first + unit.repeat})


def _end(answer: Answer) -> float:
    """Seconds since the run began."""
    timings = answer.reply.timings
    return answer.at + (timings.e2el / 1e3 if timings is not None else 0.0)


def _first(failures: BaseExceptionGroup[RaglineError | OSError]) -> RaglineError | OSError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock ends with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / BundleStore.LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(f"another run is at work in {folder}: wait for it, or choose another --out") from None
    except OSError as error:
        raise Conflict(f"{folder} cannot be written: {error.strerror}: choose another --out") from None
    try:
        yield
    finally:
        lock.release()
        (folder / BundleStore.LOCK).unlink(missing_ok=True)
