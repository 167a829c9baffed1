"""What the selection of sentences keeps: the words, and the passages' answers, by how far down the curve it goes.

SQuAD 2.0's answerable questions, searched for in the deduplicated contexts of 500 questions as the gateway
does, the best four passages. Of the questions whose answer these hold: the share that still has it in what is
kept, in whatever sentence (`kept`) and in the question's own context (`own`). `words` is the mean share of the
passages' words that is kept.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.clock import AnswerClock
from pipelines.evaluation.statistics.intervals import proportion_interval
from pipelines.search import Finder, Search
from pipelines.select import CURVE, CURVE_OF_WORDS, Cosines, SelectName, select, split_sentences
from pipelines.sentences import Span
from services.core.wire.passages import Passage
from services.gateway.settings import Settings as GatewaySettings
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.retrieval_services import Services, services
from tests.bench.retrieval_sets import squad

CURVES = (0.2, 0.3, 0.4, 0.5, 0.6)
COLLECTION = "squad"


@dataclass(frozen=True)
class Searched:
    question: str
    answers: tuple[str, ...]
    own: str
    passages: tuple[Passage, ...]
    spans: tuple[Sequence[Span], ...]
    cosines: Cosines | None


def simplify(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def holds(answers: Sequence[str], text: str) -> bool:
    return any(f" {simplify(answer)} " in f" {simplify(text)} " for answer in answers)


async def search_all(running: Services, data: Path) -> tuple[list[Searched], float]:
    """Search for every answerable question; those whose passages hold the answer, and ms a selection."""
    sets = squad(data)
    await running.fill(COLLECTION, sets)
    folder = data / "squad2_500"
    truth = json.loads((folder / "ground_truth.json").read_text())
    queries = json.loads((folder / "queries.json").read_text())["queries"]
    finder = Finder(running.embedding, running.retrieval, running.reranking, running.generation)
    settings = GatewaySettings.load()
    search = Search(COLLECTION, top_k=settings.top_k, top_n=settings.top_n)
    found, spent = [], 0.0
    for query in queries:
        if truth[query["id"]]["is_impossible"]:
            continue
        evidence = await finder.find(query["question"], search, AnswerClock())
        start = time.perf_counter()
        spans = split_sentences(evidence.passages)
        places = [[(unit.start, unit.end) for unit in units] for units in spans]
        cosines = await running.reranking.sentence_cosines(
            query["question"], evidence.passages, places, collection=COLLECTION
        )
        select(query["question"], evidence.passages, spans, cosines, "sentences")
        spent += time.perf_counter() - start
        answers = tuple(filter(simplify, truth[query["id"]]["answers"]))
        one = Searched(query["question"], answers, query["context"], evidence.passages, tuple(spans), cosines)
        if any(holds(answers, passage.text) for passage in evidence.passages):
            found.append(one)
    return found, spent / len(queries) * 1e3


def measure(
    searched: Sequence[Searched], mode: SelectName, curve: float, *, has_vectors: bool
) -> dict[str, str | float]:
    kept, own, words = [], [], []
    for one in searched:
        chosen = select(
            one.question,
            one.passages,
            one.spans,
            one.cosines if has_vectors else None,
            mode,
            curve=curve,
        )
        kept.append(any(holds(one.answers, passage.shown) for passage in chosen.passages))
        if any(passage.text in one.own and holds(one.answers, passage.text) for passage in one.passages):
            own.append(
                any(
                    passage.text in one.own and holds(one.answers, passage.shown)
                    for passage in chosen.passages
                )
            )
        words.append(chosen.selection.words / chosen.selection.words_found if chosen.selection else 1.0)
    low, high = proportion_interval(sum(kept), len(kept)) or (0.0, 1.0)
    return {
        "by": ("vectors and words" if has_vectors else "words") + f", {mode}",
        "curve": curve,
        "words": sum(words) / len(words),
        "kept": sum(kept) / len(kept),
        "95 % from": low,
        "to": high,
        "own": sum(own) / len(own),
        "n": len(kept),
    }


async def main() -> None:
    async with services() as running:
        searched, ms = await search_all(running, evaluation_data())
    rows = [measure(searched, "sentences", curve, has_vectors=True) for curve in CURVES]
    rows += [measure(searched, "sentences", curve, has_vectors=False) for curve in CURVES]
    rows.append(measure(searched, "passages", CURVE, has_vectors=True))
    rows.append(measure(searched, "passages", CURVE_OF_WORDS, has_vectors=False))
    report(
        "selection",
        "What selection keeps of the best four passages",
        rows,
        n=len(searched),
        note=f"{ms:.1f} ms a selection, with the call for the cosines; defaults: {CURVE} and {CURVE_OF_WORDS}",
    )


if __name__ == "__main__":
    asyncio.run(main())
