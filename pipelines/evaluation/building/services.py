"""What a build asks the services for: passages, drafts, a second opinion, vectors and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.building.drafts import Draft, draft_messages, is_supported, is_worth_asking
from pipelines.prompting import build_messages as answer_messages
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import new_request_id, start_request
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.chat import ChatMessage, ModelInfo
from services.core.wire.passages import Passage
from services.core.wire.sampling import Sampling

TOKENS = 160
"""Longest reply; a model that thinks is not bounded here."""
WARMER = 0.8
"""Temperature when a passage is asked about again: the same words would give the same question."""
SEARCH_DEPTH = 10
"""Passages among which the source's rank is looked for."""
STEP_SECONDS = 600.0
PAGE = 256


@dataclass(frozen=True, slots=True)
class BuildServices:
    """Asks the services. Every call begins a request of its own and raises what its service reports."""

    retrieval: RetrievalClient
    embedding: EmbeddingClient
    generation: GenerationClient

    async def read_passages(self, collection: str) -> list[Passage]:
        """Read all passages of a collection.

        Raises:
            NotFound: there is no such collection.
            InvalidRequest: it holds no passage that is long enough to ask about.
        """
        _start_step()
        names = [found.name for found in await self.retrieval.collections()]
        if collection not in [*names, *await self.retrieval.aliases()]:
            raise NotFound(
                f"there is no collection {collection!r}: it is one of {', '.join(names) or 'none'}"
            )
        passages: list[Passage] = []
        after: str | None = None
        while True:
            _start_step()
            page = await self.retrieval.passages(collection, after=after, limit=PAGE)
            passages += page.passages
            after = page.next
            if after is None:
                break
        if not any(map(is_worth_asking, passages)):
            what = f"has {len(passages)} passages, none long enough" if passages else "is empty"
            raise InvalidRequest(f"the collection {collection!r} {what}: ingest documents first")
        return passages

    async def find_model(self, name: str) -> ModelInfo:
        """Find the model entry of that name or alias. NotFound lists those there are."""
        _start_step()
        models = (await self.generation.models()).data
        for model in models:
            if name in {model.id, *model.aliases}:
                return model
        raise NotFound(f"no model entry {name!r}: it is one of {', '.join(model.id for model in models)}")

    async def draft_question(
        self, passage: Passage, model: ModelInfo, asked_before: Sequence[str], seed: int, *, again: bool
    ) -> str:
        """Ask for a question with its answer. Returns the reply as the model gave it."""
        return await self._ask(draft_messages(passage, asked_before), model, seed, WARMER if again else 0.0)

    async def confirms(self, draft: Draft, passage: Passage, model: ModelInfo, seed: int) -> bool:
        """Tell whether the model gives the same answer when it is asked: Alberti et al. (2019), "Synthetic QA
        Corpora Generation with Roundtrip Consistency"."""
        answer = await self._ask(answer_messages("plain", draft.question, [passage]), model, seed, 0.0)
        return is_supported(draft.answer, answer)

    async def embed(self, question: str) -> NDArray[np.float32]:
        """Compute the question's unit vector."""
        _start_step()
        return np.asarray(await self.embedding.embed_query(question), np.float32)

    async def find_rank(
        self, question: str, vector: NDArray[np.float32], collection: str, passage_id: str
    ) -> str:
        """Find the place of the passage in a search: 1 is first, "none" not among the first ten."""
        hits = await self.retrieval.search(question, vector.tolist(), k=SEARCH_DEPTH, collection=collection)
        ids = [hit.id for hit in hits]
        return str(ids.index(passage_id) + 1) if passage_id in ids else "none"

    async def _ask(
        self, prompt: Sequence[ChatMessage], model: ModelInfo, seed: int, temperature: float
    ) -> str:
        """Ask the model. One that thinks keeps its own temperature and length."""
        _start_step()
        plain = model.profile in {"", "none"}
        sampling = Sampling(
            max_tokens=TOKENS if plain else None, temperature=temperature if plain else None, seed=seed
        )
        reply = ""
        async for delta in self.generation.chat(prompt, model=model.id, sampling=sampling):
            reply += delta.content
        return reply


def _start_step() -> None:
    start_request(new_request_id(), STEP_SECONDS)
