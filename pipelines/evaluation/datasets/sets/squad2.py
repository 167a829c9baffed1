"""SQuAD 2.0: questions on a passage that answers half of them. Rajpurkar et al. (2018), arXiv:1806.03822."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.evaluation.datasets.files import find_folder, read_json
from pipelines.evaluation.datasets.items import Dataset, Item, Source
from pipelines.evaluation.datasets.registry import dataset


@dataset("squad2")
def load_squad2(variant: str, path: Path | None) -> Dataset:
    """SQuAD 2.0 from a file in SQuAD's own format (`dev-v2.0.json`), or a folder `squad2_500` with queries
    and ground truth.

    `variant` "answerable" or "impossible" keeps those alone.
    """
    rows = (
        _read_official(path)
        if path is not None and path.is_file()
        else _read_sample(find_folder("squad2_500", path))
    )
    items = tuple(item for item in rows if variant == "" or item.answerable == (variant == "answerable"))
    corpus = {passage.id: passage for item in items for passage in item.passages}
    return Dataset(
        name=f"squad2:{variant}" if variant else "squad2",
        items=items,
        corpus=tuple(corpus.values()),
        origin="rajpurkar.github.io/SQuAD-explorer",
        licence="CC BY-SA 4.0",
    )


def _read_sample(source: Path) -> Iterator[Item]:
    truth = read_json(source / "ground_truth.json")
    for query in read_json(source / "queries.json")["queries"]:
        known = truth[query["id"]]
        answers = () if known["is_impossible"] else known["answers"]
        yield _item(query["id"], query["question"], answers, _passage(query["context"]))


def _read_official(path: Path) -> Iterator[Item]:
    article: dict[str, Any]
    for article in read_json(path)["data"]:
        for paragraph in article["paragraphs"]:
            passage = _passage(paragraph["context"], article["title"])
            for row in paragraph["qas"]:
                impossible = row.get("is_impossible", False)
                answers = () if impossible else [answer["text"] for answer in row["answers"]]
                yield _item(row["id"], row["question"], answers, passage)


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
