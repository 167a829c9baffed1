"""What the gateway adds to OpenAI's chat completions: `rag` in the request, evidence in the reply."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from services.core.wire.base import Filter, Metadata, StrictWire, Text, Wire
from services.core.wire.chat import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatMessage,
    ChatReply,
    ChatRequest,
    ChunkChoice,
    ChunkDelta,
    Outcome,
)
from services.core.wire.grounding import AnswerGroundedness
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName, Passage
from services.core.wire.retrieval import Mode, Relevance


class GivenPassage(Passage):
    """A passage that comes with the question: only its `text` must be there."""

    id: str = ""
    document_id: str = ""
    text: Text = Field(min_length=1)

    @model_validator(mode="after")
    def _keeps_parts_of_its_text(self) -> Self:
        last = 0
        for start, end in self.kept or ():
            if not last <= start < end <= len(self.text):
                raise ValueError(f"kept: {start} to {end} is no part of the text after {last}")
            last = end
        return self


class RagOptions(StrictWire):
    """How to find the passages. None leaves it to the settings of the gateway and of retrieval.

    `top_k` passages are retrieved, those that are no evidence left out, and the reranker keeps `top_n` for
    the prompt. Evidence is a cosine of at least `floor` (0 to 1), or an identifier of the question, or, in a
    language that the floor is not meant for, the question's words; `context.relevance` of the reply says
    which. Where there is none the answer is an abstention; 0 switches that off.
    `mmr` chooses passages that are unlike each other (1: relevance alone, 0: difference alone);
    `neighbours` lets as many passages before and after each one join it; `rewrite` has a follow-up
    question made to stand alone before it is searched for, by the entry that answers (true) or a named one.
    `select` keeps the sentences that bear on the question, or the whole passages that have one.

    With `context` nothing is searched for and the other fields do not count: the answer comes from these
    passages. An empty list is a closed book: the model answers from what it knows.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    top_k: int | None = Field(None, ge=1, le=200)
    top_n: int | None = Field(None, ge=1, le=50)
    filter: Filter | None = None
    floor: float | None = Field(None, ge=0, le=1)
    mode: Mode | None = None
    mmr: float | None = Field(None, ge=0, le=1)
    neighbours: int | None = Field(None, ge=0, le=10)
    rewrite: bool | Text | None = None
    select: Literal["sentences", "passages", "off"] | None = None
    context: list[GivenPassage] | None = Field(None, max_length=200)


class AnswerOptions(RagOptions):
    """With `grounding` each sentence of the answer is judged against the passages, once it is there."""

    grounding: bool = False


class AnswerRequest(ChatRequest):
    """`POST /v1/chat/completions` at the gateway."""

    rag: AnswerOptions = Field(default_factory=AnswerOptions)

    @field_validator("rag", mode="before")
    @classmethod
    def _take_options_of_other_routes(cls, rag: object) -> object:
        return rag.model_dump(exclude_unset=True) if type(rag) is RagOptions else rag


class FileCitation(Wire):
    """One sentence of the answer and the place that supports it.

    `start_index` and `index` are where the sentence begins and ends in `content`. `quote` is
    `document_text[start:end]`, part of the passage. `method` says who drew the connection: the model by a
    [n] marker, or Ragline by the words that sentence and quote share; `support` is the share of the
    sentence's content words in the quote's passage, 0 to 1. `metadata` is the passage's, where it has any.
    """

    type: Literal["file_citation"] = "file_citation"
    start_index: int = 0
    index: int
    marker: int
    file_id: str
    filename: str
    passage_id: str
    page: int | None = None
    section: str = ""
    start: int
    end: int
    quote: str
    score: float | None = None
    support: float
    method: Literal["model", "attributed"]
    metadata: Metadata | None = None


class UrlPlace(Wire):
    """The span of `content` that a web page supports, the page's address and its title."""

    start_index: int
    end_index: int
    title: str
    url: str


class UrlCitation(Wire):
    """The one kind of annotation that OpenAI's chat completions have; `url` opens the passage."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlPlace


class RepeatedPassage(Wire):
    """A passage that a context leaves out because it repeats another one's text: that of the id `same_as`."""

    id: str
    document_id: str
    title: Text = ""
    page: int | None = None
    same_as: str


class LeftOutPassage(Wire):
    """A passage that was found and does not reach the prompt: none of its sentences bears on the question."""

    id: str
    document_id: str
    title: Text = ""


class ContextSelection(Wire):
    """What was kept of the passages that were found: so many `words` of `words_found`.

    `by` is what decided it: the question's words, and token vectors where the reranker has them.
    """

    mode: Literal["sentences", "passages"]
    by: Literal["words", "words and token vectors"]
    words: int
    words_found: int
    left_out: list[LeftOutPassage] = Field(default_factory=list)


class FrozenContext(Wire):
    """The ordered passages an answer comes from; `context_id` is a SHA-256 over them.

    `query` is what was searched for where that is not the question itself: it was rewritten. `relevance` says
    how it was decided that these passages, or none, are evidence; None where nothing was searched for.
    `repeated` are passages that were found and left out, because one of these has the same text. `selection`
    says what was kept of those that were found, None where nothing was chosen.
    """

    context_id: str
    passages: list[Passage]
    query: str | None = None
    relevance: Relevance | None = None
    repeated: list[RepeatedPassage] | None = None
    selection: ContextSelection | None = None


class SearchRequest(StrictWire):
    """`POST /v1/search`: find passages, ask no model. `model` is the entry that rewrites, if one does."""

    question: Text = Field(min_length=1)
    history: list[ChatMessage] = Field(default_factory=list)
    model: Text = ""
    rag: RagOptions = Field(default_factory=RagOptions)


SEARCH_STAGES = ("rewriting", "embedding", "retrieval", "reranking", "neighbours", "selection")
"""The stages before generation, in their order; fields of `Timings`."""


class Timings(Wire):
    """Milliseconds, from the gateway's clock; None where the stage did not happen.

    `rewriting` to `selection` are the stages of the search, in their order. `ttft` and `ttfo` run from
    request in to the first token of any kind and to the first answer token, `think` from the first
    reasoning token to the first answer token, `generation` from the request to the engine to its last
    token, `e2el` from request in to the reply's end. `held_back` is the part of `ttfo` for which the text of
    a model that nobody knows waited, because it might be thinking. `tpot` is (e2el - ttft) / (output
    tokens - 1), vLLM's convention.
    """

    rewriting: float | None = None
    embedding: float | None = None
    retrieval: float | None = None
    reranking: float | None = None
    neighbours: float | None = None
    selection: float | None = None
    ttft: float | None = None
    ttfo: float | None = None
    think: float | None = None
    generation: float | None = None
    tpot: float | None = None
    held_back: float | None = None
    e2el: float


class SearchReply(Wire):
    """The context is empty where no passage reaches the floor."""

    context: FrozenContext
    timings: Timings
    degraded: list[str] = Field(default_factory=list)


class AnswerMessage(AssistantMessage):
    """`annotations` say in OpenAI's form what `citations` say; passages of the request have no address."""

    annotations: list[UrlCitation] = Field(default_factory=list)
    citations: list[FileCitation] = Field(default_factory=list)


class AnswerChoice(ChatChoice):
    message: AnswerMessage


class AnswerReply(ChatReply):
    """`degraded` names the stages that were left out because their service failed.

    `routed_by` is `split` where the request named no model and the split chose the one that answered.
    `groundedness` is there where the request asks for it; `groundedness_missing` says why it is not.
    """

    choices: list[AnswerChoice]  # type: ignore[assignment]  # a narrower choice, never assigned
    context: FrozenContext
    timings: Timings
    degraded: list[str] = Field(default_factory=list)
    outcome: Outcome = "answered"
    routed_by: Literal["split"] | None = None
    groundedness: AnswerGroundedness | None = None
    groundedness_missing: str | None = None


class AnswerDelta(ChunkDelta):
    annotations: list[UrlCitation] | None = None
    citations: list[FileCitation] | None = None


class AnswerChunkChoice(ChunkChoice):
    delta: AnswerDelta


class AnswerChunk(ChatChunk):
    """The first chunk of a stream carries `context`; the one with `finish_reason` the rest.

    Where groundedness was asked for it comes in a chunk of its own after that, which has no choice.
    """

    choices: list[AnswerChunkChoice] = Field(default_factory=list)  # type: ignore[assignment]  # as above
    context: FrozenContext | None = None
    timings: Timings | None = None
    degraded: list[str] | None = None
    outcome: Outcome | None = None
    routed_by: Literal["split"] | None = None
    groundedness: AnswerGroundedness | None = None
    groundedness_missing: str | None = None
