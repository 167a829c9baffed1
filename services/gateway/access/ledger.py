"""What a request used: its tokens, its bytes, the collections it named and the documents that its answer
cites."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field

from pipelines.rag import Finished, Question
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.errors import RaglineError
from services.core.wire.chat import ChatMessage
from services.core.wire.features import Features
from services.core.wire.sampling import Sampling

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English: what an answer that was broken off has read, since no engine has counted
it."""


@dataclass(slots=True)
class Ledger:
    """Written to while a request is in work; the arms of a comparison write into the same one.

    `questions` and `answers` are kept only where `keeps_content`.
    """

    keeps_content: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    received_bytes: int = 0
    models: set[str] = field(default_factory=set)
    collections: set[str] = field(default_factory=set)
    documents: set[str] = field(default_factory=set)
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


_ledger: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


def open_ledger(*, keeps_content: bool) -> Ledger:
    """Begin the ledger of the request in hand."""
    ledger = Ledger(keeps_content)
    _ledger.set(ledger)
    return ledger


def find_ledger() -> Ledger | None:
    """Return the ledger of the request in hand; None where nothing is written down."""
    return _ledger.get()


def note_bytes(count: int) -> None:
    """Write down the bytes of an upload."""
    ledger = _ledger.get()
    if ledger is not None:
        ledger.received_bytes += count


def note_answer(question: Question, answer: Finished) -> None:
    """Write down which documents an answer cites."""
    ledger = _ledger.get()
    if ledger is not None:
        ledger.documents.update(citation.filename or citation.file_id for citation in answer.citations)
        if ledger.keeps_content:
            ledger.questions.append(question.text)


class MeteredGeneration(GenerationClient):
    """A client that writes down the tokens of every completion, of a rewritten question too.

    A completion that its reader broke off has no count of the engine's: it is charged by what was seen of it.
    """

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        """See `GenerationClient.chat`."""
        ledger = _ledger.get() or Ledger()
        pieces, is_counted, is_refused = 0, False, False
        texts: list[str] = []
        try:
            stream = super().chat(messages, model=model, sampling=sampling, features=features)
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    if delta.usage is not None:
                        is_counted = True
                        ledger.prompt_tokens += delta.usage.prompt_tokens
                        ledger.completion_tokens += delta.usage.completion_tokens
                    if delta.model:
                        ledger.models.add(delta.model)
                    pieces += bool(delta.content or delta.reasoning)
                    if ledger.keeps_content:
                        texts.append(delta.content)
                    yield delta
        except RaglineError:
            is_refused = not pieces
            raise
        finally:
            if not (is_counted or is_refused):
                characters = sum(len(message.text) for message in messages)
                ledger.prompt_tokens += characters // CHARACTERS_PER_TOKEN
                ledger.completion_tokens += pieces
            if ledger.keeps_content:
                ledger.answers.append("".join(texts))
