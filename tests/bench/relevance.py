"""Where the relevance floor separates questions that a corpus answers from questions that it does not.

Corpus: the deduplicated contexts of 500 SQuAD 2.0 questions. Answerable: SQuAD's answerable questions.
Off topic: Cranfield's aerodynamics queries, which no context answers. Near miss: SQuAD's impossible
questions, which share their context's words and lack its answer; a floor is not expected to catch them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import numpy as np
from _report import report
from numpy.typing import NDArray

from services.embedding.backends import openvino

DATA = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[3] / "shared" / "data"))
FLOORS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def squad() -> tuple[list[str], list[str], list[str]]:
    """Contexts, answerable questions, impossible questions."""
    folder = DATA / "squad2_500"
    queries = json.loads((folder / "queries.json").read_text())["queries"]
    truth = json.loads((folder / "ground_truth.json").read_text())
    contexts = list(dict.fromkeys(query["context"] for query in queries))
    answerable = [query["question"] for query in queries if not truth[query["id"]]["is_impossible"]]
    impossible = [query["question"] for query in queries if truth[query["id"]]["is_impossible"]]
    return contexts, answerable, impossible


def cranfield() -> list[str]:
    raw = (DATA / "cranfield" / "cran.qry").read_text()
    return [" ".join(block.split()) for block in re.findall(r"\.W\n(.*?)(?=\n\.I|\Z)", raw, re.DOTALL)]


async def best_scores(
    questions: list[str], corpus: NDArray[np.float32], backend: openvino.EmbeddingBackend
) -> NDArray[np.float32]:
    """Each question's highest cosine over the corpus."""
    encoded = await backend.encode(questions, normalize=True, truncate=True)
    scores: NDArray[np.float32] = (encoded.vectors @ corpus.T).max(axis=1)
    return scores


async def measure() -> None:
    contexts, answerable, impossible = squad()
    off_topic = cranfield()
    backend = await openvino.create()
    try:
        corpus = (await backend.encode(contexts, normalize=True, truncate=True)).vectors
        scores = {
            "answerable": await best_scores(answerable, corpus, backend),
            "off topic": await best_scores(off_topic, corpus, backend),
            "near miss": await best_scores(impossible, corpus, backend),
        }
    finally:
        await backend.close()
    rows: list[dict[str, str | float]] = [
        {
            "floor": floor,
            "answerable kept": float((scores["answerable"] >= floor).mean()),
            "off topic refused": float((scores["off topic"] < floor).mean()),
            "near miss refused": float((scores["near miss"] < floor).mean()),
        }
        for floor in FLOORS
    ]
    sizes = ", ".join(f"{len(values)} {name}" for name, values in scores.items())
    report("relevance", f"Relevance floor over {len(contexts)} contexts: {sizes}", rows, n=len(answerable))


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"no evaluation data at {DATA}: set RAGLINE_EVALUATION_DATA")
    asyncio.run(measure())


if __name__ == "__main__":
    main()
