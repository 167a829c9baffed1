"""A run from its first check to the finished bundle. What is on the disk already is not asked for again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.context import freeze
from pipelines.evaluation.bundle.prices import Price
from pipelines.evaluation.bundle.recorded import forget_results
from pipelines.evaluation.bundle.records import Bundle, Context, RunQuestion, group_clusters
from pipelines.evaluation.bundle.store import BundleStore, read_manifest
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
from pipelines.evaluation.runner.energy import PowerMeter, find_meter
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.manifest import make_manifest
from pipelines.evaluation.runner.plan import (
    ChosenDataset,
    Options,
    PlannedRequest,
    order_clusters,
    schedule,
    schedule_in_order,
    word_question,
)
from pipelines.evaluation.runner.sending import send_requests
from pipelines.evaluation.settling import wait_until_settled
from services.core.errors import InvalidRequest, ServiceError
from services.core.wire.compare import ArmRequest

if TYPE_CHECKING:  # they load scipy, which a run without a judge does without
    from pipelines.evaluation.judge import Judge
    from pipelines.evaluation.runner.deciding import Budget, Decider
    from pipelines.evaluation.runner.judging import JudgeRequest

WARM_UP = "Which is more, two or three?"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is asked of whom, and where the bundle goes. With a `budget` the run ends when its policy is
    settled, or cannot be."""

    datasets: Sequence[ChosenDataset]
    arms: Sequence[ArmRequest]
    options: Options
    folder: Path
    policy: Policy | None = None
    budget: Budget | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)


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
    with BundleStore(evaluation.folder).lock():
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
    meter: PowerMeter | None = field(default_factory=find_meter)

    @property
    def store(self) -> BundleStore:
        return BundleStore(self.evaluation.folder)

    async def complete(self) -> Bundle:
        present = await self._begin()
        contexts = await self._find_contexts(present)
        missing = self._missing_requests(present)
        decider = self._make_decider(present, contexts)
        if missing and not (decider and decider.ending):
            await self._warm_up(present)
            await self._ask(present, contexts, missing, decider)
        if decider is not None:
            self._record_ending(decider)
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
        if self.evaluation.budget is not None:
            in_order = order_clusters(tuple(self.questions.values()), options.seed)
            self.questions = {question.id: question for question in in_order}
        ordered = tuple(self.questions.values())
        wanted = make_manifest(datasets, ordered, self.origins, arms=arms, models=models, options=options)
        meters = self.meter.names if self.meter is not None and options.concurrency == 1 else ()
        wanted = wanted.model_copy(update={"prices": dict(self.evaluation.prices), "power": meters})
        if self.evaluation.policy is not None:
            checks.check_policy(self.evaluation.policy, arms, [dataset.whole.name for dataset in datasets])
            wanted = wanted.model_copy(update={"policy": self.evaluation.policy})
        if self.evaluation.budget is not None:
            record = self.evaluation.budget.record(ordered)
            wanted = wanted.model_copy(update={"sequential": record})
        if self.judge_request is not None:
            from pipelines.evaluation.runner.judging import prepare_judge  # noqa: PLC0415 - as above

            self.judge, judge_record = await prepare_judge(self.judge_request, arms, models)
            wanted = wanted.model_copy(update={"judge": judge_record})
        present = self.store.read_so_far()
        if present is None or len(present.contexts) < len(ordered):
            await self._check_collections()
        if present is None:
            self.store.begin(wanted, ordered)
            return Bundle(manifest=wanted, questions=ordered, contexts=(), answers=())
        checks.check_same(present.manifest, wanted, str(self.evaluation.folder))
        forget_results(self.evaluation.folder)
        if present.manifest.judge is None and wanted.judge is not None:
            with_judge = present.manifest.model_copy(update={"judge": wanted.judge})
            self.store.write_manifest(with_judge)
            present = present.model_copy(update={"manifest": with_judge})
        if wanted.sequential is not None:  # a greater budget lets a run go on
            longer = present.manifest.model_copy(update={"sequential": wanted.sequential})
            self.store.write_manifest(longer)
            present = present.model_copy(update={"manifest": longer})
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
        due = self._due_questions(present)
        missing = [question for question in due if question.id not in contexts]
        if not missing:
            return contexts
        builder = ContextBuilder(self.gateway, self.evaluation.options, await self._ingest_corpora(missing))
        self.watcher.begin("contexts", {"contexts": Count(len(contexts), len(due))})
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
        order = schedule if manifest.sequential is None else schedule_in_order
        requests = order(
            [question.id for question in self._due_questions(present)],
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
        has_waited = True
        while has_waited:  # another engine may have taken over, which is warm only now
            self.watcher.begin("warm-up", {arm.name: Count(0, warm_up) for arm in manifest.arms})
            for arm, _ in itertools.product(manifest.arms, range(warm_up)):
                reply, _ = await asker.ask(WARM_UP, arm, no_context, wait_seconds=LOADING_SECONDS)
                if reply.error is not None:
                    raise ServiceError(
                        f"arm {arm.name} does not answer: {reply.error.message}", service=reply.error.service
                    )
                self.watcher.advance(arm.name)
            used = {arm.model for arm in manifest.arms}
            models, has_waited = await wait_until_settled(self.gateway.models, used, self.watcher.say)
        if warm_up:
            checks.check_resident(manifest.arms, models)
        if not present.answers:  # by now the engines are open, and say what they are
            self.store.write_manifest(
                manifest.model_copy(update={"models": tuple(model for model in models if model.id in used)})
            )

    def _due_questions(self, present: Bundle) -> list[RunQuestion]:
        """The questions that may be asked: all of them, or whole clusters up to the budget."""
        sequential = present.manifest.sequential
        if sequential is None:
            return list(self.questions.values())
        due: list[RunQuestion] = []
        for group in group_clusters(self.questions.values()):
            if due and len(due) + len(group) > sequential.questions:
                break
            due += group
        return due

    async def _ask(
        self,
        present: Bundle,
        contexts: dict[str, Context],
        requests: Sequence[PlannedRequest],
        decider: Decider | None,
    ) -> None:
        """Send the requests, up to `concurrency` at once; each answer is on the disk before its turn ends."""
        with self.store.open_answers() as journal:
            await send_requests(
                Asker(self.gateway),
                present,
                requests,
                self.questions,
                contexts,
                journal=journal,
                watcher=self.watcher,
                stopper=decider,
                meter=self.meter,
            )

    def _record_ending(self, decider: Decider) -> None:
        written = read_manifest(self.evaluation.folder)
        if written.sequential is not None:
            ended = written.sequential.model_copy(update={"ended": decider.ending})
            self.store.write_manifest(written.model_copy(update={"sequential": ended}))

    def _make_decider(self, present: Bundle, contexts: dict[str, Context]) -> Decider | None:
        manifest = present.manifest
        if manifest.sequential is None or manifest.policy is None:
            return None
        from pipelines.evaluation.runner.deciding import Decider  # noqa: PLC0415 - as above

        due = self._due_questions(present)
        decider = Decider(manifest, manifest.policy, due, contexts, self.watcher)
        decider.start(present.answers)
        return decider
