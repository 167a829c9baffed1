"""Asks a model for questions about a collection's passages, and keeps what passes the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.building.absent import Vocabulary, substitute
from pipelines.evaluation.building.checks import Reason, fault, same, supported
from pipelines.evaluation.building.drafts import Draft, messages, parse
from pipelines.evaluation.building.drawing import ROUNDS, drawn, due, worth_asking
from pipelines.evaluation.building.lines import Dropped, Files, Made, Source
from pipelines.prompting import messages as prompted
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient, Sampling
from services.core.clients.retrieval import RetrievalClient
from services.core.context import new_request_id, start_request
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.chat import ChatMessage, ModelInfo
from services.core.wire.passages import Passage

TOKENS = 160
"""Longest reply; a model that thinks is not bounded here."""
WARMER = 0.8
"""Temperature when a passage is asked about again: the same words would give the same question."""
ALIKE = 0.93
"""Cosine from which two questions with one answer, or on one passage, are the same one in other words."""
LOOKED_AT = 10
"""Passages among which the source's rank is looked for."""
STEP_SECONDS = 600.0
PAGE = 256

Advance = Callable[[int, int, int], None]
"""Told how many questions are kept and how many drafts were asked for and dropped so far."""


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
        """What a file must agree in to be gone on with; `n` may grow."""
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
    def __init__(
        self, retrieval: RetrievalClient, embedding: EmbeddingClient, generation: GenerationClient
    ) -> None:
        self._retrieval = retrieval
        self._embedding = embedding
        self._generation = generation

    async def passages(self, collection: str) -> list[Passage]:
        """All of a collection. NotFound or InvalidRequest where there is none to ask about."""
        _step()
        names = [each.name for each in await self._retrieval.collections()]
        if collection not in [*names, *await self._retrieval.aliases()]:
            raise NotFound(
                f"there is no collection {collection!r}: it is one of {', '.join(names) or 'none'}"
            )
        found: list[Passage] = []
        after: str | None = None
        while True:
            _step()
            page = await self._retrieval.passages(collection, after=after, limit=PAGE)
            found += page.passages
            after = page.next
            if after is None:
                break
        if not any(map(worth_asking, found)):
            what = f"has {len(found)} passages, none long enough" if found else "is empty"
            raise InvalidRequest(f"the collection {collection!r} {what}: ingest documents first")
        return found

    async def entry(self, name: str) -> ModelInfo:
        """The model entry of that name or alias. NotFound lists those there are."""
        _step()
        entries = (await self._generation.models()).data
        for each in entries:
            if name in {each.id, *each.aliases}:
                return each
        raise NotFound(f"no model entry {name!r}: it is one of {', '.join(each.id for each in entries)}")

    async def build(self, plan: Plan, files: Files, advance: Advance | None = None) -> Built:
        """Go on until `n` are kept or no passage is left. A line is on disk before the next draft."""
        passages = await self.passages(plan.collection)
        entry = await self.entry(plan.model)
        made, lost = files.read(plan.options)
        work = _Work(self, plan, files, entry, passages, made, lost)
        await work.recall()
        while len(work.made) < plan.n and not work.exhausted:
            await work.attempt()
            if advance is not None:
                advance(len(work.made), work.number, len(work.lost))
        return Built(tuple(work.made), tuple(work.lost), work.exhausted and len(work.made) < plan.n)

    async def drafted(
        self, passage: Passage, model: ModelInfo, before: Sequence[str], seed: int, *, again: bool
    ) -> str:
        """A question with its answer, as the model says it."""
        return await self._said(messages(passage, before), model, seed, WARMER if again else 0.0)

    async def confirmed(self, draft: Draft, passage: Passage, model: ModelInfo, seed: int) -> bool:
        """Whether the model gives the same answer when it is asked: Alberti et al. (2019), "Synthetic QA
        Corpora Generation with Roundtrip Consistency"."""
        answer = await self._said(prompted("plain", draft.question, [passage]), model, seed, 0.0)
        return supported(draft.answer, answer)

    async def _said(
        self, prompt: Sequence[ChatMessage], model: ModelInfo, seed: int, temperature: float
    ) -> str:
        """The answer. A model that thinks keeps its own temperature and length."""
        _step()
        plain = model.profile in {"", "none"}
        sampling = Sampling(
            max_tokens=TOKENS if plain else None, temperature=temperature if plain else None, seed=seed
        )
        reply = ""
        async for delta in self._generation.chat(prompt, model=model.id, sampling=sampling):
            reply += delta.content
        return reply

    async def vector(self, question: str) -> NDArray[np.float32]:
        _step()
        return np.asarray(await self._embedding.embed_query(question), np.float32)

    async def rank(self, question: str, vector: NDArray[np.float32], plan: Plan, passage: str) -> str:
        """Where a search finds the source: 1 is first, "none" not among the first ten."""
        found = await self._retrieval.search(
            question, vector.tolist(), k=LOOKED_AT, collection=plan.collection
        )
        ids = [each.id for each in found]
        return str(ids.index(passage) + 1) if passage in ids else "none"


class _Work:
    """One build in progress: what was asked so far, and what comes next."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        builder: Builder,
        plan: Plan,
        files: Files,
        model: ModelInfo,
        passages: Sequence[Passage],
        made: list[Made],
        lost: list[Dropped],
    ) -> None:
        self._builder, self._plan, self._files, self._model = builder, plan, files, model
        self._order = drawn([each for each in passages if worth_asking(each)], plan.seed)
        self._vocabulary = Vocabulary(f"{each.header}\n{each.text}" for each in passages)
        self.made, self.lost = made, lost
        done = [int(line.meta["attempt"]) for line in made] + [line.attempt for line in lost]
        self.number = max(done, default=-1) + 1
        self._vectors: list[NDArray[np.float32]] = []

    @property
    def exhausted(self) -> bool:
        return self.number >= ROUNDS * len(self._order)

    async def recall(self) -> None:
        """Know the questions of an earlier run again."""
        self._vectors = [await self._builder.vector(line.question) for line in self.made]

    async def attempt(self) -> None:
        """One draft, kept or dropped; either way it is written."""
        number, self.number = self.number, self.number + 1
        passage = self._order[number % len(self._order)]
        before = [line.question for line in self.made if line.source.passage == passage.id]
        seed = self._plan.seed + number
        again = number >= len(self._order)
        reply = await self._builder.drafted(passage, self._model, before, seed, again=again)
        reason = await self._judge(number, passage, parse(reply))
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
            self.lost.append(line)

    async def _judge(self, number: int, passage: Passage, draft: Draft | None) -> Reason | None:
        """Why it is dropped; None where it was kept."""
        if draft is None:
            return "unreadable"
        found = fault(draft, passage)
        if found is not None:
            return found
        seed = self._plan.seed + number
        if not await self._builder.confirmed(draft, passage, self._model, seed):
            return "not confirmed"
        other = substitute(draft.question, self._vocabulary, seed)
        answerable = self._to_be_answerable(other is not None)
        if answerable is None:
            return "nothing to replace"
        question, replaced = draft.question, ""
        if other is not None and not answerable:
            question, replaced = other.question, f"{other.old} -> {other.new}"
        vector = await self._builder.vector(question)
        answer = draft.answer if answerable else None
        if self._known(question, vector, passage, answer):
            return "asked already"
        rank = await self._builder.rank(question, vector, self._plan, passage.id)
        line = Made(
            id=f"{self._plan.seed}-{number}",
            question=question,
            answer=answer,
            answerable=answerable,
            group=passage.document_id,
            relevant=[passage.id] if answerable else [],
            source=Source.of(passage, replaced),
            meta=_meta(self._plan.options, number, rank),
        )
        self._files.keep(line)
        self.made.append(line)
        self._vectors.append(vector)
        return None

    def _to_be_answerable(self, replaceable: bool) -> bool | None:
        """Unanswerable where one is due and can be made of it; None: only such are wanted, and it cannot."""
        without = sum(not line.answerable for line in self.made)
        if replaceable and without < due(len(self.made) + 1, self._plan.unanswerable):
            return False
        room = self._plan.n - due(self._plan.n, self._plan.unanswerable)
        if len(self.made) - without < room:
            return True
        return False if replaceable else None

    def _known(
        self, question: str, vector: NDArray[np.float32], passage: Passage, answer: str | None
    ) -> bool:
        """Word for word, or alike: but how heavy a clay brick is, and a slate one, are two questions."""
        for line, other in zip(self.made, self._vectors, strict=True):
            if same(question) == same(line.question):
                return True
            one = answer is not None and line.answer is not None and same(answer) == same(line.answer)
            if (one or line.source.passage == passage.id) and float(vector @ other) >= ALIKE:
                return True
        return False


def _meta(options: Mapping[str, str], attempt: int, rank: str) -> dict[str, str]:
    return {**options, "attempt": str(attempt), "rank": rank}


def _step() -> None:
    start_request(new_request_id(), STEP_SECONDS)
