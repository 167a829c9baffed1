"""Builds a question set about a collection: a model drafts questions, and what passes the checks is kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.building.absent import Vocabulary, substitute
from pipelines.evaluation.building.drafts import (
    Draft,
    Reason,
    find_fault,
    is_worth_asking,
    normalise_text,
    parse_draft,
)
from pipelines.evaluation.building.lines import Dropped, Files, Made, Source
from pipelines.evaluation.building.services import BuildServices
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.retrieval import RetrievalClient
from services.core.wire.chat import ModelInfo
from services.core.wire.passages import Passage

ALIKE = 0.93
"""Cosine from which two questions with one answer, or on one passage, are the same one in other words."""
ROUNDS = 3
"""How often one passage is asked about at most."""

Advance = Callable[[int, int, int], None]
"""Called with the numbers so far: questions kept, drafts asked for, drafts dropped."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build: `n` questions of which `unanswerable` (a share) cannot be answered."""

    collection: str
    n: int
    model: str
    seed: int
    unanswerable: float = 0.25

    @property
    def options(self) -> dict[str, str]:
        """The options in which a file must agree if it is to be continued; `n` may grow."""
        return {
            "collection": self.collection,
            "model": self.model,
            "seed": str(self.seed),
            "unanswerable": f"{self.unanswerable:g}",
        }


@dataclass(frozen=True, slots=True)
class Built:
    """All that the files hold now. `exhausted`: every passage was asked about as often as it may be."""

    kept: tuple[Made, ...]
    dropped: tuple[Dropped, ...]
    exhausted: bool


class Builder:
    """Builds question sets with these services."""

    def __init__(
        self, retrieval: RetrievalClient, embedding: EmbeddingClient, generation: GenerationClient
    ) -> None:
        self._services = BuildServices(retrieval, embedding, generation)

    async def build(self, plan: Plan, files: Files, advance: Advance | None = None) -> Built:
        """Go on until `n` questions are kept or no passage is left.

        A line is on disk before the next draft is asked for, so that a build that is stopped can go on.

        Raises:
            NotFound: there is no such collection or model entry.
            InvalidRequest: the collection has nothing to ask about, or the files were made otherwise.
        """
        passages = await self._services.read_passages(plan.collection)
        model = await self._services.find_model(plan.model)
        made, dropped = files.read(plan.options)
        build = _Build(self._services, plan, files, model, passages, made, dropped)
        await build.embed_made()
        while len(build.made) < plan.n and not build.exhausted:
            await build.attempt()
            if advance is not None:
                advance(len(build.made), build.number, len(build.dropped))
        return Built(tuple(build.made), tuple(build.dropped), build.exhausted and len(build.made) < plan.n)


class _Build:
    """Keeps one build in progress: what was asked so far, and what comes next."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        services: BuildServices,
        plan: Plan,
        files: Files,
        model: ModelInfo,
        passages: Sequence[Passage],
        made: list[Made],
        dropped: list[Dropped],
    ) -> None:
        self._services, self._plan, self._files, self._model = services, plan, files, model
        self._order = order_passages([passage for passage in passages if is_worth_asking(passage)], plan.seed)
        self._vocabulary = Vocabulary(f"{passage.header}\n{passage.text}" for passage in passages)
        self.made, self.dropped = made, dropped
        attempts = [int(line.meta["attempt"]) for line in made] + [line.attempt for line in dropped]
        self.number = max(attempts, default=-1) + 1
        self._vectors: list[NDArray[np.float32]] = []

    @property
    def exhausted(self) -> bool:
        return self.number >= ROUNDS * len(self._order)

    async def embed_made(self) -> None:
        """Embed the questions of an earlier run, so that they are known when they come again."""
        self._vectors = [await self._services.embed(line.question) for line in self.made]

    async def attempt(self) -> None:
        """Ask for one draft, and write it as kept or as dropped."""
        number, self.number = self.number, self.number + 1
        passage = self._order[number % len(self._order)]
        asked_before = [line.question for line in self.made if line.source.passage == passage.id]
        seed = self._plan.seed + number
        again = number >= len(self._order)
        reply = await self._services.draft_question(passage, self._model, asked_before, seed, again=again)
        reason = await self._check_and_keep(number, passage, parse_draft(reply))
        if reason is not None:
            line = Dropped(
                attempt=number,
                reason=reason,
                passage=passage.id,
                document=passage.document_id,
                reply=reply,
                meta=self._plan.options,
            )
            self._files.drop(line)
            self.dropped.append(line)

    async def _check_and_keep(self, number: int, passage: Passage, draft: Draft | None) -> Reason | None:
        """Keep a draft that passes every check; the reason where it is dropped, else None."""
        if draft is None:
            return "unreadable"
        fault = find_fault(draft, passage)
        if fault is not None:
            return fault
        seed = self._plan.seed + number
        if not await self._services.confirms(draft, passage, self._model, seed):
            return "not confirmed"
        substituted = substitute(draft.question, self._vocabulary, seed)
        answerable = self._is_answerable_due(replaceable=substituted is not None)
        if answerable is None:
            return "nothing to replace"
        question, replaced = draft.question, ""
        if substituted is not None and not answerable:
            question, replaced = substituted.question, f"{substituted.old} -> {substituted.new}"
        vector = await self._services.embed(question)
        answer = draft.answer if answerable else None
        if self._is_known(question, vector, passage, answer):
            return "asked already"
        rank = await self._services.find_rank(question, vector, self._plan.collection, passage.id)
        line = Made(
            id=f"{self._plan.seed}-{number}",
            question=question,
            answer=answer,
            answerable=answerable,
            group=passage.document_id,
            relevant=[passage.id] if answerable else [],
            source=Source.of(passage, replaced),
            meta={**self._plan.options, "attempt": str(number), "rank": rank},
        )
        self._files.keep(line)
        self.made.append(line)
        self._vectors.append(vector)
        return None

    def _is_answerable_due(self, *, replaceable: bool) -> bool | None:
        """Whether the next question is to be answerable: not where an unanswerable one is due and can be made
        of it. None: only unanswerable ones are wanted, and none can be made of it."""
        unanswerable = sum(not line.answerable for line in self.made)
        if replaceable and unanswerable < count_unanswerable(len(self.made) + 1, self._plan.unanswerable):
            return False
        room = self._plan.n - count_unanswerable(self._plan.n, self._plan.unanswerable)
        if len(self.made) - unanswerable < room:
            return True
        return False if replaceable else None

    def _is_known(
        self, question: str, vector: NDArray[np.float32], passage: Passage, answer: str | None
    ) -> bool:
        """Tell whether a question is there, word for word or alike: but how heavy a clay brick is, and a
        slate one, are two questions."""
        question, answer = normalise_text(question), answer and normalise_text(answer)
        for line, other in zip(self.made, self._vectors, strict=True):
            if question == normalise_text(line.question):
                return True
            same_answer = (
                answer is not None and line.answer is not None and answer == normalise_text(line.answer)
            )
            if (same_answer or line.source.passage == passage.id) and float(vector @ other) >= ALIKE:
                return True
        return False


def order_passages(passages: Sequence[Passage], seed: int) -> list[Passage]:
    """Put all passages in order: documents in a seeded order, one passage of each, then the next of each,
    and so on, so that a long document does not fill the set. Pure.

    The order depends on ids and the seed alone, not on the order in which the passages come.
    """
    generator = random.Random(seed)
    documents: dict[str, list[Passage]] = {}
    for passage in sorted(passages, key=lambda passage: (passage.document_id, passage.index, passage.id)):
        documents.setdefault(passage.document_id, []).append(passage)
    order = generator.sample(list(documents), len(documents))
    queues = [generator.sample(documents[name], len(documents[name])) for name in order]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def count_unanswerable(kept: int, share: float) -> int:
    """Count how many of the first `kept` questions are to be unanswerable: rounded down."""
    return int(kept * share + 1e-9)
