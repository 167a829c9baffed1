"""What the rules of relevance keep and leave out: by the floor alone (before), and by all evidence (after).

Answerable: SQuAD 2.0's answerable questions, to the deduplicated contexts of 500 of them. Off topic: Cranfield's
aerodynamics queries, which no context answers. Near miss: SQuAD's impossible questions, which share their
context's words and lack its answer; no rule is expected to catch them. Identifiers and six languages are of
our own (`relevance_sets`). A hit: the passage that answers reaches the prompt of the chain.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.clock import AnswerClock
from pipelines.evaluation.statistics.intervals import proportion_interval
from pipelines.search import Finder, Search
from services.core.wire.passages import Passage
from services.embedding.backends import openvino
from services.gateway.settings import Settings as GatewaySettings
from services.retrieval.evidence import QuestionTraits, select_evidence
from tests.bench import conversation
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.relevance_sets import Group, identifiers, languages
from tests.bench.retrieval_services import services
from tests.bench.retrieval_sets import RetrievalSet
from tests.bench.retrieval_sets import squad as retrieval_set

FLOORS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@dataclass(frozen=True)
class Asked:
    """What a search came to: the right passage in the prompt, no passage at all, and the rule that decided."""

    hit: bool
    abstained: bool
    rule: str


def squad(data: Path) -> tuple[list[str], list[str], list[str]]:
    """Contexts, answerable questions, impossible questions."""
    folder = data / "squad2_500"
    queries = json.loads((folder / "queries.json").read_text())["queries"]
    truth = json.loads((folder / "ground_truth.json").read_text())
    contexts = list(dict.fromkeys(query["context"] for query in queries))
    answerable = [query["question"] for query in queries if not truth[query["id"]]["is_impossible"]]
    impossible = [query["question"] for query in queries if truth[query["id"]]["is_impossible"]]
    return contexts, answerable, impossible


def cranfield(data: Path) -> list[str]:
    raw = (data / "cranfield" / "cran.qry").read_text()
    return [" ".join(block.split()) for block in re.findall(r"\.W\n(.*?)(?=\n\.I|\Z)", raw, re.DOTALL)]


def is_kept(question: str, cosines: NDArray[np.float32], contexts: Sequence[str], floor: float) -> bool:
    """Whether any context is evidence for an English question, by all evidence."""
    traits = QuestionTraits.read(question, ())
    if not traits.identifiers:
        return bool(cosines.max() >= floor)
    found = {
        str(at): Passage(id=str(at), document_id=str(at), text=contexts[at], score=float(cosines[at]))
        for at in np.argsort(-cosines)
    }
    return bool(select_evidence(found, traits, floor)[0])


async def measure(contexts: list[str], groups: Mapping[str, list[str]]) -> None:
    """Keep questions at every floor, by the best cosine over the whole corpus, and by all evidence."""
    backend = await openvino.create()
    try:
        corpus = (await backend.encode(contexts, normalize=True, truncate=True)).vectors
        cosines = {
            name: (await backend.encode(questions, normalize=True, truncate=True)).vectors @ corpus.T
            for name, questions in groups.items()
        }
    finally:
        await backend.close()
    rows: list[dict[str, str | float]] = []
    for floor in FLOORS:
        row: dict[str, str | float] = {"floor": floor}
        for name, questions in groups.items():
            by_floor = cosines[name].max(axis=1) >= floor
            by_all = [
                is_kept(text, near, contexts, floor)
                for text, near in zip(questions, cosines[name], strict=True)
            ]
            row |= {f"{name}: floor": float(by_floor.mean()), f"{name}: all": float(np.mean(by_all))}
        rows.append(row)
    title = (
        f"Questions kept over {len(contexts)} contexts, by the floor and by all evidence: {_sizes(groups)}"
    )
    report("relevance", title, rows, n=_total(groups))


def squad_groups(data: Path) -> list[Group]:
    """SQuAD's answerable questions and what its contexts do not answer."""
    _, _, impossible = squad(data)
    corpus = retrieval_set(data)
    context_of = {query: next(iter(relevant)) for query, relevant in corpus.relevant.items()}
    answerable = tuple((text, context_of[query]) for query, text in corpus.queries.items())
    return [
        Group("English (SQuAD)", corpus.documents, answerable),
        Group("off topic (Cranfield)", corpus.documents, tuple((text, None) for text in cranfield(data))),
        Group("near miss (SQuAD impossible)", corpus.documents, tuple((text, None) for text in impossible)),
    ]


async def through_the_chain(groups: Sequence[Group]) -> None:
    """Hits and abstentions of the search that answers come from, with the gateway's default settings."""
    settings = GatewaySettings.load()
    before = Search(floor=settings.floor, floor_languages=None, top_k=settings.top_k, top_n=settings.top_n)
    after = replace(before, floor_languages=("en",))
    rows: list[dict[str, str | float]] = []
    async with services(("embedding", "retrieval", "reranking")) as running:
        finder = Finder(running.embedding, running.retrieval, running.reranking, running.generation)
        filled: dict[int, str] = {}
        for group in groups:
            if id(group.documents) not in filled:
                filled[id(group.documents)] = f"relevance-{len(filled)}"
                await running.fill(
                    filled[id(group.documents)], RetrievalSet(group.name, group.documents, {}, {}, {})
                )
            outcomes = {}
            for name, search in (("before", before), ("after", after)):
                there = replace(search, collection=filled[id(group.documents)])
                outcomes[name] = [await ask(finder, there, *question) for question in group.questions]
            rows.append(_compare(group, outcomes))
    report(
        "relevance_chain",
        f"Hits and abstentions at a floor of {settings.floor:g}, before (the floor alone) and after",
        rows,
        n=sum(len(group.questions) for group in groups),
        note="in brackets: Wilson's 95 % interval",
    )


async def ask(finder: Finder, search: Search, question: str, document: str | None) -> Asked:
    """Search as for an answer."""
    found = await finder.find(question, search, AnswerClock())
    rule = found.relevance.rule if found.relevance else "floor"
    hit = document is not None and document in {passage.document_id for passage in found.passages}
    return Asked(hit, not found.passages, rule)


def _compare(group: Group, outcomes: Mapping[str, Sequence[Asked]]) -> dict[str, str | float]:
    row: dict[str, str | float] = {"questions": group.name, "n": str(len(group.questions))}
    answerable = group.questions[0][1] is not None
    for name, asked in outcomes.items():
        if answerable:
            row[f"hits {name}"] = _share([one.hit for one in asked])
        row[f"abstained {name}"] = _share([one.abstained for one in asked])
    rules = Counter(one.rule for one in outcomes["after"])
    row["rule after"] = ", ".join(f"{rule} {times}" for rule, times in rules.most_common())
    return row


def _share(flags: Sequence[bool]) -> str:
    low, high = proportion_interval(sum(flags), len(flags)) or (0.0, 1.0)
    return f"{sum(flags) / len(flags):.3f} [{low:.3f}, {high:.3f}]"


def _sizes(groups: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(questions)} {name}" for name, questions in groups.items())


def _total(groups: Mapping[str, Sequence[str]]) -> int:
    return sum(map(len, groups.values()))


async def main() -> None:
    data = evaluation_data()
    conversation.main()
    contexts, answerable, impossible = squad(data)
    groups = {"answerable": answerable, "off topic": cranfield(data), "near miss": impossible}
    await measure(contexts, groups)
    await through_the_chain([*identifiers(), *squad_groups(data), *languages()])


if __name__ == "__main__":
    asyncio.run(main())
