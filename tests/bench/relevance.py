"""Where the relevance floor separates questions that a corpus answers from questions that it does not.

Corpus: the deduplicated contexts of 500 SQuAD 2.0 questions. Answerable: SQuAD's answerable questions.
Off topic: Cranfield's aerodynamics queries, which no context answers. Near miss: SQuAD's impossible
questions, which share their context's words and lack its answer; a floor is not expected to catch them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.embedding.backends import openvino
from services.gateway.settings import Settings as GatewaySettings
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.retrieval_services import services
from tests.bench.retrieval_sets import squad as retrieval_set

MODES = ("dense", "sparse", "hybrid")
FLOORS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


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


async def best_scores(
    questions: list[str], corpus: NDArray[np.float32], backend: openvino.EmbeddingBackend
) -> NDArray[np.float32]:
    """Each question's highest cosine over the corpus."""
    encoded = await backend.encode(questions, normalize=True, truncate=True)
    scores: NDArray[np.float32] = (encoded.vectors @ corpus.T).max(axis=1)
    return scores


async def measure(contexts: list[str], groups: Mapping[str, list[str]]) -> None:
    """Every floor, by the best cosine over the whole corpus."""
    backend = await openvino.create()
    try:
        corpus = (await backend.encode(contexts, normalize=True, truncate=True)).vectors
        scores = {name: await best_scores(questions, corpus, backend) for name, questions in groups.items()}
    finally:
        await backend.close()
    rows: list[dict[str, str | float]] = [
        {"floor": floor}
        | {f"{name} kept": float((values >= floor).mean()) for name, values in scores.items()}
        for floor in FLOORS
    ]
    report(
        "relevance", f"Questions kept over {len(contexts)} contexts: {_sizes(groups)}", rows, n=_total(groups)
    )


async def through_services(data: Path, groups: Mapping[str, list[str]]) -> None:
    """The default floor, by what retrieval finds in each mode."""
    corpus, floor = retrieval_set(data), GatewaySettings.load().floor
    kept: dict[str, dict[str, float]] = {}
    async with services(("embedding", "retrieval", "reranking")) as running:
        await running.fill(corpus.name, corpus)
        for name, questions in groups.items():
            for question in questions:
                vector = await running.embedding.embed_query(question)
                for mode in MODES:
                    found = await running.search(
                        corpus.name, question, vector, mode=mode, k=running.pool, score_threshold=floor
                    )
                    counts = kept.setdefault(mode, dict.fromkeys(groups, 0.0))
                    counts[name] += bool(found) / len(questions)
    rows: list[dict[str, str | float]] = [
        {"mode": mode} | {f"{name} kept": share for name, share in counts.items()}
        for mode, counts in kept.items()
    ]
    title = f"Questions kept through the services at a floor of {floor:g}: {_sizes(groups)}"
    report("relevance_modes", title, rows, n=_total(groups))


def _sizes(groups: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(questions)} {name}" for name, questions in groups.items())


def _total(groups: Mapping[str, Sequence[str]]) -> int:
    return sum(map(len, groups.values()))


async def main() -> None:
    data = evaluation_data()
    contexts, answerable, impossible = squad(data)
    groups = {"answerable": answerable, "off topic": cranfield(data), "near miss": impossible}
    await measure(contexts, groups)
    await through_services(data, groups)


if __name__ == "__main__":
    asyncio.run(main())
