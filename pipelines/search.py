"""Finding the passages that an answer comes from: rewrite, embed, retrieve, rerank, expand, select."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from pipelines.clock import AnswerClock
from pipelines.context import Stretch, freeze, join_neighbours, leave_out_repeated, put_identifiers_first
from pipelines.limits import StageLimits, within_limit
from pipelines.rewriting import Rewriter
from pipelines.select import Cosines, Selected, SelectName, select, split_sentences
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import RaglineError, ServiceError
from services.core.metrics import Metrics
from services.core.wire.answer import ContextSelection, FrozenContext, RepeatedPassage
from services.core.wire.base import Filter
from services.core.wire.chat import ChatMessage
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.reranking import RerankedPassage
from services.core.wire.retrieval import Mode, Relevance

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Search:
    """How to find the passages: retrieve `top_k` that are evidence, keep the reranker's `top_n`.

    Evidence is a cosine of at least `floor` in one of `floor_languages` (empty: in all; None: nothing but the
    cosine counts), an identifier of the question, or what `Relevance` says; a `floor` of 0 lets all pass.

    `mode` None is as the retrieval service is set. With `mmr`, the `top_k` are chosen to be unlike each
    other: 1 is relevance alone, 0 difference alone; of the `fetch_k` best, None leaving their number to
    retrieval. `neighbours` is how many passages before and after
    each of the `top_n` join it. `rewrite` names the model entry that makes a follow-up question stand
    alone, empty for the one that answers; None leaves the question as it is. `select` is what is kept of the
    passages. `given` are passages that came
    with the question: nothing is searched for, and none at all is a closed book.
    """

    collection: str = DEFAULT_COLLECTION
    top_k: int = 50
    top_n: int = 4
    where: Filter | None = None
    floor: float = 0.0
    floor_languages: tuple[str, ...] | None = ("en",)
    mode: Mode | None = None
    mmr: float | None = None
    fetch_k: int | None = None
    neighbours: int = 0
    rewrite: str | None = None
    select: SelectName = "off"
    given: tuple[Passage, ...] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found: `passages` best first, `degraded` the stages that had to be left out.

    `query` is what was searched for where that is not the question itself; `stretches` are what the
    passages are made of where they were joined with their neighbours. `relevance` is how it was decided
    what is evidence, None where nothing was searched for; `repeated` were left out because a passage has
    their text. `selection` is what was kept of those that were found.
    """

    passages: tuple[Passage, ...] = ()
    degraded: tuple[str, ...] = ()
    query: str | None = None
    stretches: tuple[Stretch, ...] = ()
    relevance: Relevance | None = None
    repeated: tuple[RepeatedPassage, ...] = ()
    selection: ContextSelection | None = None

    @property
    def is_unsure(self) -> bool:
        """Whether the model must say itself where the passages do not answer: nothing has decided it.

        So it is where no rule was used, or where no passage names what the question asks about.
        """
        decided = self.relevance
        return decided is not None and (decided.rule == "model" or bool(decided.missing))

    def freeze(self) -> FrozenContext:
        """Freeze the passages, with all that is to be said of how they were found."""
        return freeze(
            self.passages,
            self.query,
            relevance=self.relevance,
            repeated=self.repeated,
            selection=self.selection,
        )


@dataclass(frozen=True, slots=True)
class Finder:
    """Four clients in a row; `rerank_seconds` and `rewrite_seconds` bound the stages that an answer can do
    without, `limits` the others."""

    embedding: EmbeddingClient
    retrieval: RetrievalClient
    reranking: RerankingClient
    generation: GenerationClient
    metrics: Metrics | None = None
    rerank_seconds: float = 5.0
    rewrite_seconds: float = 10.0
    limits: StageLimits = field(default_factory=StageLimits)

    async def find(
        self,
        question: str,
        search: Search,
        clock: AnswerClock,
        *,
        history: Sequence[ChatMessage] = (),
        model: str = "",
    ) -> Evidence:
        """Find evidence; it has no passages where none of the collection is evidence.

        Raises what embedding and retrieval raise, and `DeadlineExceeded` that names the one that takes longer
        than its limit. Where rewriting fails the question is searched for as
        it is, where reranking fails the retrieval's order stands, where the neighbours are not to be had
        the passages stand alone.
        """
        if search.given is not None:
            return Evidence(search.given)
        run = _Run(self, search, clock)
        text = await run.make_query(question, history, model)
        passages, repeated = leave_out_repeated(await run.retrieve(text))
        if passages:
            passages = await run.rerank(text, passages)
        ids = {passage.id for passage in passages}
        joined = await run.expand(passages) if passages and search.neighbours else []
        is_follow_up = text == question and any(message.role == "user" for message in history)
        selected = await run.select(
            text,
            [stretch.passage for stretch in joined] or passages,
            has_vectors=not joined,
            stands_alone=not is_follow_up,
        )
        return Evidence(
            passages=selected.passages,
            degraded=tuple(run.degraded),
            query=None if text == question else text,
            stretches=tuple(joined),
            relevance=run.relevance,
            repeated=tuple(passage for passage in repeated if passage.same_as in ids),
            selection=selected.selection,
        )


@dataclass(slots=True)
class _Run:
    """One search; `degraded` grows by the stages that it had to do without."""

    finder: Finder
    search: Search
    clock: AnswerClock
    degraded: list[str] = field(default_factory=list)
    relevance: Relevance | None = None

    async def make_query(self, question: str, history: Sequence[ChatMessage], model: str) -> str:
        entry = self.search.rewrite
        if entry is None or not any(message.role == "user" for message in history):
            return question
        rewriter = Rewriter(self.finder.generation, self.finder.rewrite_seconds)
        with self.clock.stage("rewriting"):
            try:
                return await rewriter.rewrite(question, history, model=entry or model)
            except RaglineError as error:
                self._leave_out("rewriting", error.message)
            except TimeoutError:
                self._leave_out("rewriting", f"over {self.finder.rewrite_seconds:g} s")
        return question

    async def retrieve(self, text: str) -> list[Passage]:
        search, limits = self.search, self.finder.limits
        vector: list[float] | None = None
        if search.mode != "sparse" or search.floor:  # words alone need no vector, the floor is on its cosine
            with self.clock.stage("embedding"):
                async with within_limit("embedding", limits.embedding, "EMBEDDING_SECONDS"):
                    vector = await self.finder.embedding.embed_query(text)
        with self.clock.stage("retrieval"):
            async with within_limit("retrieval", limits.retrieval, "RETRIEVAL_SECONDS"):
                reply = await self.finder.retrieval.retrieve(
                    text,
                    vector,
                    k=max(search.top_k, search.top_n),
                    collection=search.collection,
                    where=search.where,
                    threshold=search.floor or None,
                    threshold_languages=search.floor_languages,
                    mode=search.mode,
                    mmr_lambda=search.mmr,
                    fetch_k=search.fetch_k,
                )
        self.relevance = reply.relevance
        if not search.floor or (reply.relevance and reply.relevance.rule != "floor"):
            return reply.retrieved_docs
        # whatever a store makes of the threshold: what nothing vouches for must not reach the prompt
        return [
            passage
            for passage in reply.retrieved_docs
            if passage.matched or (passage.score or 0.0) >= search.floor
        ]

    async def rerank(self, text: str, passages: list[Passage]) -> list[Passage]:
        top_n = self.search.top_n
        most = len(passages) if any(passage.matched for passage in passages) else top_n
        with self.clock.stage("reranking"):
            try:
                async with asyncio.timeout(self.finder.rerank_seconds):
                    ranked = await self.finder.reranking.rerank(
                        text, passages, top_n=most, collection=self.search.collection
                    )
                return put_identifiers_first(_reorder(passages, ranked), top_n)
            except RaglineError as error:
                self._leave_out("reranking", error.message)
            except TimeoutError:
                self._leave_out("reranking", f"over {self.finder.rerank_seconds:g} s")
        return put_identifiers_first(passages, top_n)

    async def expand(self, passages: Sequence[Passage]) -> list[Stretch]:
        ids, span = [passage.id for passage in passages], self.search.neighbours
        with self.clock.stage("neighbours"):
            try:
                async with within_limit("retrieval", self.finder.limits.retrieval, "RETRIEVAL_SECONDS"):
                    around = await self.finder.retrieval.neighbours(
                        self.search.collection, ids, before=span, after=span
                    )
            except RaglineError as error:
                self._leave_out("neighbours", error.message)
                return []
        return join_neighbours(passages, around)

    async def select(
        self, text: str, passages: Sequence[Passage], *, has_vectors: bool, stands_alone: bool
    ) -> Selected:
        """Keep what bears on the question.

        Passages that were joined have no vectors of their own. A follow-up question that was not rewritten
        does not say what it is about: all passages stay.
        """
        if self.search.select == "off" or not passages or not stands_alone:
            return Selected(tuple(passages))
        with self.clock.stage("selection"):
            spans = split_sentences(passages)
            cosines: Cosines | None = None
            if has_vectors and "reranking" not in self.degraded:
                places = [[(unit.start, unit.end) for unit in units] for units in spans]
                try:
                    async with asyncio.timeout(self.finder.rerank_seconds):
                        cosines = await self.finder.reranking.sentence_cosines(
                            text, passages, places, collection=self.search.collection
                        )
                except (RaglineError, TimeoutError) as error:
                    log.warning("selecting by words alone", reason=str(error) or "too late")
            return select(text, passages, spans, cosines, self.search.select)

    def _leave_out(self, stage: str, reason: str) -> None:
        log.warning("answering without a stage", stage=stage, reason=reason)
        self.degraded.append(stage)
        if self.finder.metrics is not None:
            self.finder.metrics.count_degraded(stage)


def _reorder(passages: Sequence[Passage], ranks: Sequence[RerankedPassage]) -> list[Passage]:
    """Put the passages in the reranker's order, with its scores.

    Raises `ServiceError` where a position names no passage.
    """
    if any(not 0 <= rank.index < len(passages) for rank in ranks):
        raise ServiceError("reranking named a passage that it was not given", service="reranking")
    return [passages[rank.index].model_copy(update={"rerank_score": rank.score}) for rank in ranks]
