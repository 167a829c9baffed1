"""The public sets that retrieval is measured on: documents, queries, and what answers what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.evaluation.metrics.ranking import ndcg, recall, reciprocal_rank

Gains = Mapping[str, float]
Metric = Callable[[Sequence[str], Gains], float]


@dataclass(frozen=True)
class Document:
    text: str
    title: str = ""


@dataclass(frozen=True)
class RetrievalSet:
    """`relevant`: by query, the gain of each relevant document. The metrics take a ranking of documents."""

    name: str
    documents: Mapping[str, Document]
    queries: Mapping[str, str]
    relevant: Mapping[str, Gains]
    metrics: Mapping[str, Metric]


RECALL_1: Metric = partial(recall, k=1)
RECALL_5: Metric = partial(recall, k=5)
RECALL_10: Metric = partial(recall, k=10)
NDCG_10: Metric = partial(ndcg, k=10)

CRANFIELD_GAIN = {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}
"""By Cleverdon's code: 1 is a complete answer, 4 of minimum interest. A few systems read them upside down."""


def cranfield(data: Path) -> RetrievalSet:
    """1,400 abstracts on aerodynamics, 225 questions, graded judgements.

    Judgements name a query by its position in the file, not by its own number. The 225 with the code -1
    (one per query) are not described in the set's readme and count as not relevant.
    """
    folder = data / "cranfield"
    relevant: dict[str, dict[str, float]] = {}
    for line in (folder / "cranqrel").read_text().splitlines():
        query, document, code = line.split()
        if int(code) in CRANFIELD_GAIN:
            relevant.setdefault(query, {})[document] = CRANFIELD_GAIN[int(code)]
    texts = re.findall(r"^\.W\n(.*?)(?=^\.I|\Z)", (folder / "cran.qry").read_text(), re.DOTALL | re.MULTILINE)
    return RetrievalSet(
        name="cranfield",
        documents=dict(_abstracts((folder / "cran.all.1400").read_text())),
        queries={str(position): _line(text) for position, text in enumerate(texts, 1)},
        relevant=relevant,
        metrics={"nDCG@10": NDCG_10, "recall@10": RECALL_10},
    )


def _abstracts(raw: str) -> list[tuple[str, Document]]:
    """The abstracts; their bodies repeat the title, which is left out there. Two of them are empty."""
    found = []
    for entry in re.split(r"^\.I ", raw, flags=re.MULTILINE)[1:]:
        number, rest = entry.split("\n", 1)
        title = _line(rest.split(".T\n", 1)[1].split(".A\n", 1)[0])
        body = _line(rest.split("\n.W", 1)[1])
        found.append((number.strip(), Document(body.removeprefix(title).strip(), title)))
    return found


def squad(data: Path) -> RetrievalSet:
    """The deduplicated contexts of 500 SQuAD 2.0 questions, and those of the questions they answer."""
    folder = data / "squad2_500"
    questions = json.loads((folder / "queries.json").read_text())["queries"]
    truth = json.loads((folder / "ground_truth.json").read_text())
    contexts = {
        text: str(number) for number, text in enumerate(dict.fromkeys(q["context"] for q in questions))
    }
    answerable = [question for question in questions if not truth[question["id"]]["is_impossible"]]
    return RetrievalSet(
        name="squad",
        documents={number: Document(text) for text, number in contexts.items()},
        queries={question["id"]: question["question"] for question in answerable},
        relevant={question["id"]: {contexts[question["context"]]: 1.0} for question in answerable},
        metrics={"recall@1": RECALL_1, "recall@5": RECALL_5, "MRR": reciprocal_rank},
    )


def champ(data: Path) -> RetrievalSet:
    """CHAMP's competition problems, and the concepts and hints that solve them."""
    raw = json.loads((data / "champ" / "champ_core.json").read_text())
    documents = {name: Document(one["_text"], one["name"] or "") for name, one in raw["concepts"].items()}
    documents |= {name: Document(one["_text"]) for name, one in raw["hints"].items()}
    return RetrievalSet(
        name="champ",
        documents=documents,
        queries={name: problem["_text"] for name, problem in raw["problems"].items()},
        relevant={name: dict.fromkeys(problem["ch_list"], 1.0) for name, problem in raw["problems"].items()},
        metrics={"recall@5": RECALL_5, "MRR": reciprocal_rank},
    )


SETS: Mapping[str, Callable[[Path], RetrievalSet]] = {"cranfield": cranfield, "squad": squad, "champ": champ}


def _line(text: str) -> str:
    return " ".join(text.split())
