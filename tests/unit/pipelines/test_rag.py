"""The chain with stand-ins for the four services: order, degradation, abstention, failures, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from pipelines.prompting import ABSTENTION
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from pipelines.search import Search
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import NotFound, RaglineError, ServiceError, ServiceUnavailable
from services.core.wire.base import Filter
from services.core.wire.chat import ChatMessage, ModelInfo, ModelList, Usage
from services.core.wire.features import Features
from services.core.wire.passages import Passage
from services.core.wire.reranking import RerankedPassage
from services.core.wire.retrieval import Relevance, RetrievalReply
from services.core.wire.sampling import Sampling

PASSAGES = [
    Passage(
        id=str(n),
        document_id="d",
        title="d.md",
        text=f"fact number {n}.",
        start=n * 20,
        end=n * 20 + 14,
        index=n,
        score=0.9 - n / 10,
    )
    for n in range(5)
]
USAGE = Usage(prompt_tokens=5, completion_tokens=3, total_tokens=8)
ANSWER = [
    ChatDelta(model="m", reasoning="hmm"),
    ChatDelta(model="m", content="fact "),
    ChatDelta(model="m", content="number 2."),
    ChatDelta(model="m", finish_reason="length"),
    ChatDelta(model="m", usage=USAGE),
]


class Embedding(EmbeddingClient):
    def __init__(self, error: RaglineError | None = None) -> None:
        self.error = error

    async def embed_query(self, text: str) -> list[float]:
        if self.error:
            raise self.error
        return [1.0]


class Retrieval(RetrievalClient):
    def __init__(
        self,
        passages: Sequence[Passage] = PASSAGES,
        error: RaglineError | None = None,
        relevance: Relevance | None = None,
    ) -> None:
        self.passages = passages
        self.relevance = relevance
        self.error = error
        self.asked: list[tuple[str, dict[str, object]]] = []

    async def retrieve(self, text: str, vector: Sequence[float] | None, **options: Any) -> RetrievalReply:
        self.asked.append((text, options))
        return RetrievalReply(retrieved_docs=list(self.passages[: options["k"]]), relevance=self.relevance)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int = 1, after: int = 1
    ) -> dict[str, list[Passage]]:
        if self.error:
            raise self.error
        return {id_: list(PASSAGES[max(0, int(id_) - before) : int(id_) + after + 1]) for id_ in ids}


class Reranking(RerankingClient):
    def __init__(
        self, order: Sequence[int] = (2, 0), error: RaglineError | None = None, wait: float = 0
    ) -> None:
        self.order = order
        self.error = error
        self.wait = wait

    async def rerank(
        self, query: str, passages: Sequence[Passage], *, top_n: int, collection: str
    ) -> list[RerankedPassage]:
        await asyncio.sleep(self.wait)
        if self.error:
            raise self.error
        return [RerankedPassage(index=index, score=1.0) for index in self.order[:top_n]]


class SentenceReranking(Reranking):
    """The third sentence of every passage is the nearest; `failing` is what asking for it comes to."""

    def __init__(self, failing: RaglineError | None = None) -> None:
        super().__init__(order=[0])
        self.failing = failing

    async def sentence_cosines(
        self,
        query: str,
        passages: Sequence[Passage],
        spans: Sequence[Sequence[tuple[int, int]]],
        *,
        collection: str,
    ) -> list[list[float | None]] | None:
        if self.failing:
            raise self.failing
        return [[1.0 if place == 2 else None for place in range(len(units))] for units in spans]


class Generation(GenerationClient):
    def __init__(self, deltas: Sequence[ChatDelta] = ANSWER, error: RaglineError | None = None) -> None:
        self.deltas = deltas
        self.error = error
        self.messages: Sequence[ChatMessage] = ()
        self.closed = False

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        self.messages = messages
        try:
            if self.error:
                raise self.error
            for delta in self.deltas:
                yield delta
        finally:
            self.closed = True

    async def models(self) -> ModelList:
        return ModelList(data=[ModelInfo(id="other"), ModelInfo(id="m", aliases=["nick"], default=True)])


def chain(
    embedding: EmbeddingClient | None = None,
    retrieval: RetrievalClient | None = None,
    reranking: RerankingClient | None = None,
    generation: GenerationClient | None = None,
) -> RagPipeline:
    return RagPipeline(
        embedding or Embedding(),
        retrieval or Retrieval(),
        reranking or Reranking(),
        generation or Generation(),
        rerank_seconds=0.1,
    )


async def run(
    pipeline: RagPipeline, question: str = "q", **search: object
) -> tuple[Found, list[Piece], Finished]:
    options = Search(top_n=2, **search)  # type: ignore[arg-type]
    events = [event async for event in pipeline.answer(Question(question, search=options))]
    found, *pieces, finished = events
    assert isinstance(found, Found)
    assert isinstance(finished, Finished)
    return found, [piece for piece in pieces if isinstance(piece, Piece)], finished


async def test_the_reranker_orders_the_context() -> None:
    generation = Generation()
    found, pieces, finished = await run(chain(generation=generation))
    assert [passage.id for passage in found.context.passages] == ["2", "0"]
    assert found.context.passages[0].score == PASSAGES[2].score
    assert found.context.passages[0].rerank_score == 1.0
    assert "".join(piece.content for piece in pieces) == "fact number 2."
    assert [piece.reasoning for piece in pieces] == ["hmm", "", ""]
    assert (finished.finish_reason, finished.usage, finished.degraded) == ("length", USAGE, ())
    assert [citation.passage_id for citation in finished.citations] == ["2"]
    assert "[1] d.md\nfact number 2." in generation.messages[-1].text


async def test_search_options_reach_the_store() -> None:
    retrieval = Retrieval()
    where: Filter = {"title": "d.md"}
    options = {"top_k": 3, "mmr": 0.5, "fetch_k": 9}
    await run(chain(retrieval=retrieval), collection="c", where=where, mode="sparse", floor=0.2, **options)
    wanted = {
        "k": 3,
        "collection": "c",
        "where": where,
        "mode": "sparse",
        "mmr_lambda": 0.5,
        "fetch_k": 9,
        "threshold": 0.2,
        "threshold_languages": ("en",),
    }
    assert retrieval.asked == [("q", wanted)]


@pytest.mark.parametrize(
    "reranking",
    [
        Reranking(error=ServiceUnavailable("reranking is down")),
        Reranking(wait=5),
        Reranking(order=[99]),
    ],
    ids=["down", "too slow", "nonsense"],
)
async def test_without_reranking_the_retrieval_order_stands(reranking: Reranking) -> None:
    found, _, finished = await run(chain(reranking=reranking))
    assert [passage.id for passage in found.context.passages] == ["0", "1"]
    assert found.degraded == finished.degraded == ("reranking",)


@pytest.mark.parametrize("passages", [[], PASSAGES])
async def test_nothing_relevant_is_an_abstention_without_a_model(passages: list[Passage]) -> None:
    generation = Generation(error=ServiceError("must not be asked"))
    found, pieces, finished = await run(
        chain(retrieval=Retrieval(passages), generation=generation), floor=0.95
    )
    assert found.context.passages == []
    assert "".join(piece.content for piece in pieces) == ABSTENTION
    assert (finished.abstained, finished.usage.total_tokens, finished.citations) == (True, 0, [])


@pytest.mark.parametrize(("wanted", "named"), [("", "m"), ("nick", "m"), ("other", "other")])
async def test_an_abstention_is_by_the_entry_that_was_meant(wanted: str, named: str) -> None:
    events = [one async for one in chain(retrieval=Retrieval([])).answer(Question("q", model=wanted))]
    assert {event.model for event in events} == {named}


async def test_an_abstention_by_an_unknown_entry_is_refused_and_needs_no_generation_that_is_down() -> None:
    class Down(Generation):
        async def models(self) -> ModelList:
            raise ServiceUnavailable("generation is down")

    with pytest.raises(NotFound):
        _ = [one async for one in chain(retrieval=Retrieval([])).answer(Question("q", model="nobody"))]
    pipeline = chain(retrieval=Retrieval([]), generation=Down())
    events = [one async for one in pipeline.answer(Question("q", model="nobody"))]
    assert {event.model for event in events} == {"nobody"}


async def test_only_passages_that_reach_the_floor_are_answered_from() -> None:
    found, _, finished = await run(chain(reranking=Reranking(order=[0])), floor=0.9)
    assert [passage.id for passage in found.context.passages] == ["0"]
    assert not finished.abstained
    assert finished.degraded == ()


@pytest.mark.parametrize(
    ("pipeline", "kind"),
    [
        (chain(embedding=Embedding(ServiceUnavailable("embedding is down"))), ServiceUnavailable),
        (chain(generation=Generation(error=NotFound("no such model"))), NotFound),
        (chain(generation=Generation(ANSWER[:3])), ServiceError),
        (chain(generation=Generation(ANSWER[:4])), ServiceError),
    ],
    ids=["embedding down", "unknown model", "no finish_reason", "no usage"],
)
async def test_failures_are_raised(pipeline: RagPipeline, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await run(pipeline)


async def test_nothing_comes_before_a_generation_that_fails_at_once() -> None:
    answer = chain(generation=Generation(error=NotFound("no such model"))).answer(Question("q"))
    with pytest.raises(NotFound):
        await anext(answer)


async def test_closing_the_answer_closes_the_generation() -> None:
    generation = Generation()
    answer = chain(generation=generation).answer(Question("q"))
    await anext(answer)
    assert not generation.closed
    await answer.aclose()
    assert generation.closed


async def test_what_only_words_found_must_reach_the_floor_too() -> None:
    unvouched = [PASSAGES[0].model_copy(update={"id": "9", "score": None, "sparse_score": 30.0}), PASSAGES[4]]
    found, _, finished = await run(chain(retrieval=Retrieval(unvouched)), floor=0.6)
    assert found.context.passages == []
    assert finished.abstained


async def test_a_search_by_words_alone_needs_no_embedding_service() -> None:
    pipeline = chain(embedding=Embedding(ServiceUnavailable("embedding is down")))
    found, _, finished = await run(pipeline, mode="sparse")
    assert found.context.passages
    assert finished.timings.embedding is None
    with pytest.raises(ServiceUnavailable):
        await run(pipeline, mode="sparse", floor=0.1)


async def test_passages_are_read_with_their_neighbours_and_cited_by_their_own_name() -> None:
    generation = Generation()
    found, _, finished = await run(chain(generation=generation, reranking=Reranking(order=[3])), neighbours=1)
    (passage,) = found.context.passages
    assert (passage.id, passage.start, passage.end, passage.rerank_score) == ("3", 40, 94, 1.0)
    assert passage.text.split("\n\n\n\n\n\n") == ["fact number 2.", "fact number 3.", "fact number 4."]
    assert [(one.passage_id, one.start, one.end) for one in finished.citations] == [("2", 40, 54)]
    assert finished.timings.neighbours is not None
    assert finished.degraded == ()


async def test_without_neighbours_to_be_had_the_passages_stand_alone() -> None:
    retrieval = Retrieval(error=ServiceUnavailable("retrieval is down"))
    found, _, finished = await run(chain(retrieval=retrieval), neighbours=1)
    assert [passage.id for passage in found.context.passages] == ["2", "0"]
    assert finished.degraded == ("neighbours",)


class Writer(Generation):
    """Rewrites first, then answers; `error` is that of the rewriting."""

    def __init__(self, error: RaglineError | None = None) -> None:
        super().__init__()
        self.failing = error
        self.models: list[str] = []

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        self.models.append(model)
        if len(self.models) > 1:
            async for delta in super().chat(messages, model=model, sampling=sampling):
                yield delta
            return
        if self.failing:
            raise self.failing
        yield ChatDelta(content="How heavy is a pound?")


FOLLOW_UP = (
    ChatMessage(role="user", content="What is a pound?"),
    ChatMessage(role="assistant", content="453 g."),
)


@pytest.mark.parametrize(
    ("error", "query", "degraded"),
    [(None, "How heavy is a pound?", ()), (ServiceUnavailable("down"), None, ("rewriting",))],
)
async def test_a_follow_up_is_searched_for_as_it_stands_alone(
    error: RaglineError | None, query: str | None, degraded: tuple[str, ...]
) -> None:
    retrieval, generation = Retrieval(), Writer(error)
    question = Question("how heavy?", FOLLOW_UP, model="large", search=Search(top_n=2, rewrite="small"))
    pipeline = chain(retrieval=retrieval, generation=generation)
    found, *_, finished = [event async for event in pipeline.answer(question)]
    assert isinstance(found, Found)
    assert isinstance(finished, Finished)
    assert retrieval.asked[0][0] == (query or "how heavy?")
    assert found.context.query == query
    assert finished.degraded == degraded
    assert finished.timings.rewriting is not None
    assert generation.models == ["small", "large"]
    assert "Question: how heavy?" in generation.messages[-1].text


async def test_a_first_question_is_not_rewritten() -> None:
    generation = Generation()
    found, _, finished = await run(chain(generation=generation), rewrite="")
    assert finished.timings.rewriting is None
    assert found.context.query is None


def rows(*fields: dict[str, object]) -> list[Passage]:
    return [
        Passage.model_validate({"id": str(at), "document_id": f"d{at}", "text": f"row {at}", **extra})
        for at, extra in enumerate(fields)
    ]


async def test_a_passage_with_an_identifier_passes_the_floor_and_the_reranker_does_not_cut_it() -> None:
    found, _, finished = await run(
        chain(
            retrieval=Retrieval(rows({"score": 0.9}, {"score": 0.8}, {"score": 0.1, "matched": ["E-1"]})),
            reranking=Reranking(order=(0, 1, 2)),
        ),
        floor=0.35,
    )
    assert [passage.id for passage in found.context.passages] == ["2", "0"]
    assert not finished.abstained


async def test_every_identifier_has_its_passage_in_the_prompt() -> None:
    passages = rows(
        *({"score": 0.9, "matched": ["E-1"]} for _ in range(3)), {"score": 0.1, "matched": ["E-2"]}
    )
    for reranking in (Reranking(order=(0, 1, 2, 3)), Reranking(error=ServiceUnavailable("down"))):
        found, _, _ = await run(chain(retrieval=Retrieval(passages), reranking=reranking), floor=0.35)
        assert [passage.id for passage in found.context.passages] == ["0", "3"]


async def test_an_acronym_does_not_come_before_what_is_nearer() -> None:
    passages = rows({"score": 0.9, "matched": []}, {"score": 0.5}, {"score": 0.4, "matched": ["NATO"]})
    found, _, _ = await run(
        chain(retrieval=Retrieval(passages), reranking=Reranking(order=(0, 1, 2))), floor=0.35
    )
    assert [passage.id for passage in found.context.passages] == ["0", "1"]


async def test_where_words_decided_the_cosine_does_not() -> None:
    relevance = Relevance(rule="words", language="de")
    passages = rows({"score": 0.1}, {"score": 0.2})
    found, _, _ = await run(
        chain(retrieval=Retrieval(passages, relevance=relevance), reranking=Reranking(order=(1, 0))),
        floor=0.35,
    )
    assert [passage.id for passage in found.context.passages] == ["1", "0"]
    assert found.context.relevance == relevance


@pytest.mark.parametrize(
    ("rule", "missing", "asked"),
    [("model", [], True), ("words", [], False), ("floor", [], False), ("floor", ["E-1"], True)],
)
async def test_a_model_that_decides_is_asked_to_say_that_it_does_not_know(
    rule: str, missing: list[str], asked: bool
) -> None:
    generation = Generation()
    relevance = Relevance.model_validate({"rule": rule, "language": "de", "missing": missing})
    found, _, _ = await run(
        chain(retrieval=Retrieval(relevance=relevance), generation=generation), floor=0.35
    )
    assert ("say: I don't know" in generation.messages[0].text) is asked
    assert found.context.relevance == relevance


async def test_identical_passages_take_one_place_and_are_said_to_be_left_out() -> None:
    passages = rows(
        {"score": 0.9, "text": "The fee is\n45 euros.", "title": "a.md"},
        {"score": 0.8, "text": "The fee  is 45 eu\u00adros.", "title": "b.md", "page": 2},
        {"score": 0.7, "text": "The fee is 45 euros.", "section": "Boats"},
        {"score": 0.6, "text": "Another."},
    )
    found, _, _ = await run(chain(retrieval=Retrieval(passages), reranking=Reranking(order=(0, 1))))
    assert [passage.id for passage in found.context.passages] == ["0", "2"]
    assert found.context.passages[0].text == "The fee is\n45 euros."
    (left,) = found.context.repeated or []
    assert (left.id, left.document_id, left.title, left.page, left.same_as) == ("1", "d1", "b.md", 2, "0")


FACTS = (
    "Ice is cold. Water is wet. Fire burns. Stones are hard. Grass is green. Honey is sweet. Air is light."
)


@pytest.mark.parametrize(
    ("failing", "mark"), [(None, "words and token vectors"), (ServiceError("no"), "words")]
)
async def test_what_bears_on_the_question_reaches_the_prompt_and_the_reply_says_what_was_kept(
    failing: RaglineError | None, mark: str
) -> None:
    generation = Generation()
    passage = PASSAGES[0].model_copy(update={"text": FACTS, "end": len(FACTS)})
    pipeline = chain(
        retrieval=Retrieval([passage]), reranking=SentenceReranking(failing), generation=generation
    )
    found, _, finished = await run(pipeline, question="Is fire hot or does it just burn?", select="sentences")
    (kept,) = found.context.passages
    assert "Fire burns." in kept.shown
    assert "Air is light." not in kept.shown
    assert "Fire burns." in generation.messages[-1].text
    assert "Air is light." not in generation.messages[-1].text
    assert found.context.selection is not None
    assert (found.context.selection.by, found.context.selection.mode) == (mark, "sentences")
    assert finished.timings.selection is not None
    assert finished.degraded == ()
