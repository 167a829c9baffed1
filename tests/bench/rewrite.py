"""Whether rewriting a follow-up question finds what the question alone does not: `make bench-rewrite`.

The corpus is the contexts of the SQuAD sample, the conversations are in `follow_ups.py`, the search is the
gateway's own (`pipelines.search`) over services that run as processes, with their default settings.
"Joined" is the cheap rival: the last question behind the one before it, without any model.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pipelines.clock import AnswerClock
from pipelines.evaluation.metrics.ranking import recall
from pipelines.rewriting import Rewriter
from pipelines.search import Finder, Search
from services.core.context import new_request_id, start_request
from services.core.errors import ServiceError, ServiceUnavailable
from services.core.wire.chat import ChatMessage
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.follow_ups import FOLLOW_UPS, NEW_TOPICS
from tests.bench.paired_bootstrap import paired_difference
from tests.bench.retrieval_services import SERVICES, Services, documents, services
from tests.bench.retrieval_sets import RetrievalSet, squad

MODELS = ("small", "large")
SHOWN = (1, 5)
READY_SECONDS = 900
SECONDS = 120.0
"""For one rewriting, on a machine that may be busy: the bound is not what is measured."""


@dataclass(frozen=True)
class Conversation:
    opening: str
    answer: str
    question: str
    context: str

    @property
    def history(self) -> tuple[ChatMessage, ...]:
        return ChatMessage(role="user", content=self.opening), ChatMessage(
            role="assistant", content=self.answer
        )


@dataclass(frozen=True)
class Outcome:
    """Whether the context was among the first 1 and 5, what was searched for, how long rewriting took."""

    hits: tuple[float, ...]
    query: str
    ms: float | None


def conversations(data: Path) -> dict[str, list[Conversation]]:
    contexts = squad(data)
    raw = {
        one["id"]: one for one in json.loads((data / "squad2_500" / "queries.json").read_text())["queries"]
    }
    truth = json.loads((data / "squad2_500" / "ground_truth.json").read_text())

    def conversation(after: str, gold: str, text: str) -> Conversation:
        (context,) = contexts.relevant[gold]
        return Conversation(raw[after]["question"], truth[after]["answers"][0], text, context)

    return {
        "follow-up": [conversation(one.after, one.found_with, one.text) for one in FOLLOW_UPS],
        "new topic": [conversation(after, other, raw[other]["question"]) for after, other in NEW_TOPICS],
    }


async def measure(
    corpus: RetrievalSet, groups: Mapping[str, Sequence[Conversation]], running: Services
) -> dict[tuple[str, str], list[Outcome]]:
    """By group and way of asking, each conversation's outcome."""
    await loaded(running)
    await running.fill(corpus.name, corpus)
    finder = Finder(
        running.embedding, running.retrieval, running.reranking, running.generation, rewrite_seconds=SECONDS
    )

    async def asked(one: Conversation, text: str, rewrite: str | None) -> Outcome:
        start_request(new_request_id(), SECONDS + 60)
        clock = AnswerClock()
        search = Search(collection=corpus.name, top_k=running.pool, top_n=running.pool, rewrite=rewrite)
        found = await finder.find(text, search, clock, history=one.history)
        ranking = documents(found.passages)
        hits = tuple(recall(ranking, {one.context}, shown) for shown in SHOWN)
        return Outcome(hits, found.query or text, clock.timings().rewriting)

    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    for group, several in groups.items():
        outcomes[group, "as asked"] = [await asked(one, one.question, None) for one in several]
        joined = [f"{one.opening} {one.question}" for one in several]
        outcomes[group, "joined"] = [await asked(*each, None) for each in zip(several, joined, strict=True)]
        for model in MODELS:
            outcomes[group, f"rewritten by {model}"] = [
                await asked(one, one.question, model) for one in several
            ]
    return outcomes


def rows(outcomes: Mapping[tuple[str, str], Sequence[Outcome]]) -> list[dict[str, str | float]]:
    made: list[dict[str, str | float]] = []
    for position, shown in enumerate(SHOWN):
        for (group, way), each in outcomes.items():
            hits = [one.hits[position] for one in each]
            row: dict[str, str | float] = {"question": group, "n": str(len(each)), "searched for": way}
            row |= {"metric": f"recall@{shown}", "mean": sum(hits) / len(hits)}
            if way != "as asked":
                asked = [one.hits[position] for one in outcomes[group, "as asked"]]
                difference = paired_difference(hits, asked)
                row |= {"difference": difference.mean, "95 % from": difference.low, "to": difference.high}
            took = [one.ms for one in each if one.ms is not None]
            if took:
                row["median ms"] = f"{median(took):.0f}"
            made.append(row)
    return made


async def loaded(running: Services) -> None:
    """Return when each model answers: it may have to be converted first."""
    example = (ChatMessage(role="user", content="Who wrote Faust?"),)
    for model in MODELS:
        for _ in range(READY_SECONDS):
            try:
                await Rewriter(running.generation, SECONDS).rewrite("When?", example, model=model)
                break
            except ServiceUnavailable:
                await asyncio.sleep(1)
            except ServiceError:
                break  # it answers, if not with a question


async def main() -> None:
    data = evaluation_data()
    groups = conversations(data)
    async with services((*SERVICES, "generation")) as running:
        outcomes = await measure(squad(data), groups, running)
    for model in MODELS:
        pairs = zip(groups["follow-up"], outcomes["follow-up", f"rewritten by {model}"], strict=True)
        for one, outcome in pairs:
            print(
                f"{model}: {one.question} -> {outcome.query} ({'found' if outcome.hits[-1] else 'not found'})"
            )
    n = sum(map(len, groups.values()))
    report("rewrite", f"Follow-up questions over {len(squad(data).documents)} contexts", rows(outcomes), n=n)


if __name__ == "__main__":
    asyncio.run(main())
