"""SQuAD 2.0: questions on a passage that answers half of them. Rajpurkar et al. (2018), arXiv:1806.03822."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.evaluation.datasets.files import folder, read_json
from pipelines.evaluation.datasets.items import Dataset, Item, Source


def load(variant: str, path: Path | None) -> Dataset:
    """A file in SQuAD's own format (`dev-v2.0.json`), or a folder `squad2_500` with queries and ground truth.

    `variant` "answerable" or "impossible" keeps those alone.
    """
    rows = _official(path) if path is not None and path.is_file() else _sampled(folder("squad2_500", path))
    items = tuple(item for item in rows if variant == "" or item.answerable == (variant == "answerable"))
    corpus = {passage.id: passage for item in items for passage in item.passages}
    return Dataset(
        name=f"squad2:{variant}" if variant else "squad2",
        items=items,
        corpus=tuple(corpus.values()),
        origin="rajpurkar.github.io/SQuAD-explorer",
        licence="CC BY-SA 4.0",
    )


def _sampled(source: Path) -> Iterator[Item]:
    truth = read_json(source / "ground_truth.json")
    for query in read_json(source / "queries.json")["queries"]:
        found = truth[query["id"]]
        answers = () if found["is_impossible"] else found["answers"]
        yield _item(query["id"], query["question"], answers, _passage(query["context"]))


def _official(path: Path) -> Iterator[Item]:
    article: dict[str, Any]
    for article in read_json(path)["data"]:
        for paragraph in article["paragraphs"]:
            passage = _passage(paragraph["context"], article["title"])
            for asked in paragraph["qas"]:
                impossible = asked.get("is_impossible", False)
                answers = () if impossible else [answer["text"] for answer in asked["answers"]]
                yield _item(asked["id"], asked["question"], answers, passage)


def _passage(context: str, title: str = "") -> Source:
    return Source(id=hashlib.sha256(context.encode()).hexdigest()[:16], text=context, title=title)


def _item(name: str, question: str, answers: Sequence[str], passage: Source) -> Item:
    """Without answers it is impossible. Questions on one passage stand or fall together: they are a group."""
    return Item(
        id=name,
        question=question,
        kind="exact" if answers else "abstain",
        answers=tuple(dict.fromkeys(answers)),
        passages=(passage,),
        relevant=(passage.id,) if answers else (),
        group=passage.id,
        answerable=bool(answers),
    )
