"""The chain: embed and retrieve, rerank, prompt, generate, cite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from pipelines.citations import cite
from pipelines.clock import AnswerClock
from pipelines.context import freeze
from pipelines.prompting import ABSTENTION, PromptName, messages
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import ChatDelta, GenerationClient, Sampling
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import RaglineError, ServiceError
from services.core.fallback import passed_over
from services.core.genai import Answered, Asked, ChatSpan
from services.core.metrics import Metrics
from services.core.wire.answer import FileCitation, FrozenContext, Timings
from services.core.wire.base import Filter
from services.core.wire.chat import ChatMessage, FinishReason, Usage
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.reranking import RerankedPassage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Search:
    """How to find the passages: retrieve `top_k`, drop those under `floor` (cosine), keep `top_n`."""

    collection: str = DEFAULT_COLLECTION
    top_k: int = 20
    top_n: int = 4
    where: Filter | None = None
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the last user turn, the turns before it, and how to answer."""

    text: str
    history: tuple[ChatMessage, ...] = ()
    model: str = ""
    prompt: PromptName = "plain"
    search: Search = field(default_factory=Search)
    sampling: Sampling = field(default_factory=Sampling)
    salt: str = ""
    """The prompt's first line, where it must not begin as another one does (engines cache prefixes)."""


@dataclass(frozen=True, slots=True)
class Found:
    """The first event: the passages the answer will come from, and the timings up to now.

    An empty context: an abstention follows.
    """

    context: FrozenContext
    degraded: tuple[str, ...]
    model: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of output, in one of its two channels."""

    model: str
    content: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event."""

    model: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    citations: list[FileCitation]
    degraded: tuple[str, ...]
    abstained: bool


Event = Found | Piece | Finished


@dataclass(frozen=True, slots=True)
class RagPipeline:
    """Four clients in a row. `rerank_seconds` bounds the only stage an answer can do without."""

    embedding: EmbeddingClient
    retrieval: RetrievalClient
    reranking: RerankingClient
    generation: GenerationClient
    metrics: Metrics | None = None
    rerank_seconds: float = 5.0

    async def find(
        self, text: str, search: Search, clock: AnswerClock | None = None
    ) -> tuple[list[Passage], list[str]]:
        """The passages to answer from, best first, and the stages that had to be left out.

        Passages under `search.floor` are left out; empty where none reaches it. Raises what embedding and
        retrieval raise; a failing reranking leaves the retrieval's order.
        """
        clock = clock or AnswerClock(self.metrics)
        with clock.stage("embedding"):
            vector = await self.embedding.embed_query(text)
        with clock.stage("retrieval"):
            passages = await self.retrieval.search(
                text,
                vector,
                k=max(search.top_k, search.top_n),
                collection=search.collection,
                where=search.where,
            )
        passages = [passage for passage in passages if (passage.score or 0.0) >= search.floor]
        if not passages:
            return [], []
        with clock.stage("reranking"):
            try:
                async with asyncio.timeout(self.rerank_seconds):
                    ranked = await self.reranking.rerank(
                        text, passages, top_n=search.top_n, collection=search.collection
                    )
                return _reordered(passages, ranked), []
            except RaglineError as error:
                log.warning("answering without reranking", reason=error.message)
            except TimeoutError:
                log.warning("answering without reranking", reason=f"over {self.rerank_seconds:g} s")
        if self.metrics is not None:
            self.metrics.degraded("reranking")
        return passages[: search.top_n], ["reranking"]

    async def answer(self, question: Question) -> AsyncGenerator[Event]:
        """`Found`, then `Piece`s, then `Finished`; closing it cancels the engine's generation.

        Raises what the services raise; nothing is yielded before the first piece of output is there, so
        that a failure up to then keeps its own status.
        """
        clock = AnswerClock(self.metrics)
        passages, left_out = await self.find(question.text, question.search, clock)
        async with aclosing(self.answer_from(question, passages, tuple(left_out), clock)) as events:
            async for event in events:
                yield event

    async def answer_from(
        self, question: Question, passages: Sequence[Passage], degraded: tuple[str, ...], clock: AnswerClock
    ) -> AsyncGenerator[Event]:
        """As `answer`, from passages that were found before; `clock` goes on from there."""
        context = freeze(passages)
        if not passages:
            yield Found(context, degraded, question.model, clock.timings())
            yield Piece(model=question.model, content=ABSTENTION)
            yield _abstention(question.model, clock, degraded)
            return
        prompt = messages(question.prompt, question.text, passages, question.history, salt=question.salt)
        clock.asked()
        stream = self.generation.chat(prompt, model=question.model, sampling=question.sampling)
        collected = _Collected(model=question.model, degraded=degraded)
        announced = False
        with self._span(question) as span:
            async with aclosing(span.steps(stream)) as deltas:
                async for delta in deltas:
                    output = delta.content or delta.reasoning
                    if output:
                        clock.token(reasoning=not delta.content)
                    collected.add(delta)
                    if not announced and (output or delta.finish_reason):
                        announced = True
                        yield Found(context, collected.degraded, collected.model, clock.timings())
                    if output:
                        yield Piece(model=collected.model, content=delta.content, reasoning=delta.reasoning)
            finished = collected.finish(clock, passages)
            self._account(finished, span)
        yield finished

    def _span(self, question: Question) -> ChatSpan:
        sampling = question.sampling
        asked = Asked(
            model=question.model,
            provider="ragline",
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            stop=sampling.stop,
        )
        return ChatSpan(self.metrics.tracer if self.metrics else None, asked)

    def _account(self, finished: Finished, span: ChatSpan) -> None:
        usage, seconds = finished.usage, (finished.timings.generation or 0.0) / 1e3
        span.answered(
            Answered(
                model=finished.model,
                finish_reason=finished.finish_reason,
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                reasoning_tokens=usage.completion_tokens_details.reasoning_tokens,
            )
        )
        if self.metrics is not None:
            self.metrics.observe_stage("generation", seconds, finished.model)
            if passed_over(finished.degraded):
                self.metrics.degraded("generation")


@dataclass(slots=True)
class _Collected:
    """What a stream has said so far."""

    model: str
    degraded: tuple[str, ...]
    parts: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    usage: Usage | None = None

    def add(self, delta: ChatDelta) -> None:
        self.model = delta.model or self.model
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage
        self.degraded += tuple(mark for mark in delta.degraded if mark not in self.degraded)
        if delta.content:
            self.parts.append(delta.content)

    def finish(self, clock: AnswerClock, passages: Sequence[Passage]) -> Finished:
        if self.finish_reason is None:
            raise ServiceError("generation ended without a finish_reason", service="generation")
        if self.usage is None:
            raise ServiceError("generation sent no usage: the engine must count tokens", service="generation")
        return Finished(
            model=self.model,
            finish_reason=self.finish_reason,
            usage=self.usage,
            timings=clock.timings(self.usage.completion_tokens),
            citations=cite("".join(self.parts), passages),
            degraded=self.degraded,
            abstained=False,
        )


def _abstention(model: str, clock: AnswerClock, degraded: tuple[str, ...]) -> Finished:
    """No model was asked: no tokens."""
    usage = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    return Finished(
        model=model,
        finish_reason="stop",
        usage=usage,
        timings=clock.timings(),
        citations=[],
        degraded=degraded,
        abstained=True,
    )


def _reordered(passages: Sequence[Passage], ranks: Sequence[RerankedPassage]) -> list[Passage]:
    """The passages at these positions, with the reranker's scores.

    Raises `ServiceError` where a position names no passage.
    """
    if any(not 0 <= rank.index < len(passages) for rank in ranks):
        raise ServiceError("reranking named a passage that it was not given", service="reranking")
    return [passages[rank.index].model_copy(update={"rerank_score": rank.score}) for rank in ranks]
