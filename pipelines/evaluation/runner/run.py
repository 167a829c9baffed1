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
from pipelines.evaluation.gate.policy import Policy
from pipelines.evaluation.runner import Count, Watcher, checks
from pipelines.evaluation.runner.asking import LOADING_SECONDS, Asker
from pipelines.evaluation.runner.contexts import (
    ContextBuilder,
    PassageOrigin,
    choose_origin,
    ingest_corpus,
    name_corpus_collection,
)
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.manifest import make_manifest
from pipelines.evaluation.runner.plan import ChosenDataset, Options, PlannedRequest, schedule, word_question
from services.core.errors import Conflict, InvalidRequest, RaglineError, ServiceError
from services.core.wire.compare import ArmRequest

if TYPE_CHECKING:  # they load scipy, which a run without a judge does without
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.runner.judging import JudgeRequest

WARM_UP = "Which is more, two or three?"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is asked of whom, and where the bundle goes."""

    datasets: Sequence[ChosenDataset]
    arms: Sequence[ArmRequest]
    options: Options
    folder: Path
    policy: Policy | None = None


async def run(
    evaluation: Evaluation, gateway: Gateway, watcher: Watcher, judge: JudgeRequest | None = None
) -> Bundle:
    """Begin a run in an empty folder, or continue it where it was stopped, to its end.

    Args:
        evaluation: The questions, the arms, the options and the folder.
        gateway: Who is asked.
        watcher: Follows the progress.
        judge: Compares the answers when all of them are there, also those of a run that had no judge.

    Returns:
        The finished bundle; failed requests are in it as such.

    Raises:
        NotFound, ServiceUnavailable: An arm's entry does not exist or cannot answer; no model was asked.
        Conflict: The folder holds another run, or another process is at work in it.
        InvalidRequest: There is nothing to search in.
        ServiceUnavailable: The gateway went away; what was answered is kept.
        RaglineError: What searching and bringing in a corpus raise.
    """
    with _lock(evaluation.folder):
        return await _Run(evaluation, gateway, watcher, judge).complete()


@dataclass(slots=True)
class _Run:
    evaluation: Evaluation
    gateway: Gateway
    watcher: Watcher
    judge_request: JudgeRequest | None
    judge: Judge | None = None
    questions: dict[str, RunQuestion] = field(default_factory=dict)
    origins: dict[str, PassageOrigin] = field(default_factory=dict)

    @property
    def store(self) -> BundleStore:
        return BundleStore(self.evaluation.folder)

    async def complete(self) -> Bundle:
        present = await self._begin()
        contexts = await self._find_contexts(present)
        missing = self._missing_requests(present)
        if missing:
            await self._warm_up(present)
            await self._ask(present, contexts, missing)
        if self.judge is not None:
            await self._judge(self.judge)
        return self.store.finish()

    async def _begin(self) -> Bundle:
        """Check everything, and begin the folder where it is empty; what it then holds of this run."""
        options, datasets = self.evaluation.options, self.evaluation.datasets
        models = await self.gateway.models()
        arms = checks.resolve_arms(self.evaluation.arms, models)
        for dataset in datasets:
            for item in dataset.sample.items:
                origin = choose_origin(dataset, item, options)
                question = word_question(dataset.whole, item, origin.grounds)
                self.questions[question.id], self.origins[question.id] = question, origin
        ordered = tuple(self.questions.values())
        wanted = make_manifest(datasets, ordered, self.origins, arms=arms, models=models, options=options)
        if self.evaluation.policy is not None:
            checks.check_policy(self.evaluation.policy, arms, [dataset.whole.name for dataset in datasets])
            wanted = wanted.model_copy(update={"policy": self.evaluation.policy})
        if self.judge_request is not None:
            from pipelines.evaluation.runner.judging import prepare_judge  # noqa: PLC0415 - as above

            self.judge, record = await prepare_judge(self.judge_request, arms, models)
            wanted = wanted.model_copy(update={"judge": record})
        present = self.store.read_so_far()
        if present is None or len(present.contexts) < len(ordered):
            await self._check_collections()
        if present is None:
            self.store.begin(wanted, ordered)
            return Bundle(manifest=wanted, questions=ordered, contexts=(), answers=())
        checks.check_same(present.manifest, wanted, str(self.evaluation.folder))
        if present.manifest.judge is None and wanted.judge is not None:
            with_judge = present.manifest.model_copy(update={"judge": wanted.judge})
            self.store.write_manifest(with_judge)
            present = present.model_copy(update={"manifest": with_judge})
        if present.answers:
            self.watcher.say(f"{len(present.answers)} answers are in {self.evaluation.folder} already")
        return present

    async def _judge(self, judge: Judge) -> None:
        from pipelines.evaluation.runner.judging import judge_all  # noqa: PLC0415 - as above

        answered = self.store.read_so_far()
        if answered is not None:
            await judge_all(judge, answered, self.store, self.watcher)

    async def _check_collections(self) -> None:
        """Raise InvalidRequest where there is nothing to search in: no run of closed-book questions is
        meant."""
        datasets = self.evaluation.datasets
        ingested = {name_corpus_collection(dataset.whole) for dataset in datasets if dataset.whole.corpus}
        for name in sorted({origin.collection for origin in self.origins.values()} - {"", *ingested}):
            if not await self.gateway.documents(name):
                raise InvalidRequest(
                    f"the collection {name!r} holds no documents to answer from: ingest some, name another "
                    "--collection, or ask closed book with --no-retrieve"
                )

    async def _find_contexts(self, present: Bundle) -> dict[str, Context]:
        """Find the context of each question; those that are not on the disk yet are built and put there."""
        contexts = {context.question: context for context in present.contexts}
        missing = [question for question in self.questions.values() if question.id not in contexts]
        if not missing:
            return contexts
        builder = ContextBuilder(self.gateway, self.evaluation.options, await self._ingest_corpora(missing))
        self.watcher.begin("contexts", {"contexts": Count(len(contexts), len(self.questions))})
        with self.store.open_contexts() as journal:
            for question in missing:
                context = await builder.build(question, self.origins[question.id])
                journal.append(context)
                contexts[question.id] = context
                self.watcher.advance("contexts")
        empty = sum(
            not context.context.passages for context in contexts.values() if context.grounds == "retrieved"
        )
        if empty:
            self.watcher.say(f"nothing was found for {empty} questions: they are asked closed book")
        return contexts

    async def _ingest_corpora(self, missing: Sequence[RunQuestion]) -> dict[str, str]:
        """Bring in the corpora that are searched; the ids of their sources by the ids of their documents."""
        collections = {self.origins[question.id].collection for question in missing}
        sources: dict[str, str] = {}
        for dataset in self.evaluation.datasets:
            if dataset.whole.corpus and name_corpus_collection(dataset.whole) in collections:
                sources |= await ingest_corpus(self.gateway, dataset.whole, self.watcher)
        return sources

    def _missing_requests(self, present: Bundle) -> list[PlannedRequest]:
        manifest, answered = present.manifest, {answer.key for answer in present.answers}
        requests = schedule(
            list(self.questions),
            [arm.name for arm in manifest.arms],
            manifest.conditions.repeats,
            manifest.conditions.seed,
        )
        return [request for request in requests if request.key not in answered]

    async def _warm_up(self, present: Bundle) -> None:
        """Ask each arm something that is not recorded; then see that all their models stay in memory."""
        manifest = present.manifest
        warm_up = manifest.conditions.warm_up
        asker, no_context = Asker(self.gateway), freeze([])
        self.watcher.begin("warm-up", {arm.name: Count(0, warm_up) for arm in manifest.arms})
        for arm in manifest.arms:
            for _ in range(warm_up):
                reply, _ = await asker.ask(WARM_UP, arm, no_context, wait_seconds=LOADING_SECONDS)
                if reply.error is not None:
                    raise ServiceError(
                        f"arm {arm.name} does not answer: {reply.error.message}", service=reply.error.service
                    )
                self.watcher.advance(arm.name)
        models = await self.gateway.models()
        if warm_up:
            checks.check_resident(manifest.arms, models)
        if not present.answers:  # by now the engines are open, and say what they are
            used = {arm.model for arm in manifest.arms}
            self.store.write_manifest(
                manifest.model_copy(update={"models": tuple(model for model in models if model.id in used)})
            )

    async def _ask(
        self, present: Bundle, contexts: dict[str, Context], requests: Sequence[PlannedRequest]
    ) -> None:
        """Send the requests, up to `concurrency` at once; each answer is on the disk before its turn ends."""
        manifest = present.manifest
        arms = {arm.name: arm for arm in manifest.arms}
        done = Counter(answer.arm for answer in present.answers)
        waiting = Counter(request.arm for request in requests)
        self.watcher.begin("asking", {name: Count(done[name], done[name] + waiting[name]) for name in arms})
        clock = asyncio.get_running_loop().time
        start = clock() - max((_end_seconds(answer) for answer in present.answers), default=0.0)
        asker, pending = Asker(self.gateway), iter(requests)
        with self.store.open_answers() as journal:

            async def send_pending() -> None:
                for request in pending:
                    at = clock() - start
                    arm = _with_seed(arms[request.arm], manifest, request.repeat)
                    frozen = contexts[request.question].context
                    reply, attempts = await asker.ask(self.questions[request.question].text, arm, frozen)
                    journal.append(
                        Answer(
                            question=request.question,
                            arm=request.arm,
                            repeat=request.repeat,
                            order=request.order,
                            at=round(at, 3),
                            attempts=attempts,
                            elapsed=round(clock() - start - at, 3) if reply.status == "failed" else None,
                            reply=reply,
                        )
                    )
                    self.watcher.advance(request.arm, failed=reply.status == "failed")

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(manifest.conditions.concurrency):
                        group.create_task(send_pending())
            except* (RaglineError, OSError) as failures:
                raise _first_failure(failures) from None


def _with_seed(arm: ArmRequest, manifest: Manifest, repeat: int) -> ArmRequest:
    """Give the arm the seed of a repeat: with one seed it would be the same answer again."""
    first = manifest.conditions.seed if arm.seed is None else arm.seed
    return arm.model_copy(update={"seed": first + repeat})


def _end_seconds(answer: Answer) -> float:
    """Tell when an answer ended, in seconds since the run began."""
    timings = answer.reply.timings
    return answer.at + (timings.e2el / 1e3 if timings is not None else 0.0)


def _first_failure(failures: BaseExceptionGroup[RaglineError | OSError]) -> RaglineError | OSError:
    first = failures.exceptions[0]
    return _first_failure(first) if isinstance(first, BaseExceptionGroup) else first


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one run at a time work in a folder; the lock ends with the process, however that ends."""
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
