"""CHAMP: competition mathematics with concepts and hints, so a retrieval set with relevance labels as well.

Mao, Kim and Zhou (2024), arXiv:2401.06961. The 89 concepts and 456 hints are the corpus to ingest; a
problem's own are its `relevant` ones. Asked without retrieval, the same items show what retrieving them
buys.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.evaluation.datasets.files import EvaluationSettings, folder, read_json
from pipelines.evaluation.datasets.items import Dataset, Item, Source
from services.core.errors import NotFound


def load(variant: str, path: Path | None) -> Dataset:
    """From a file, a folder or the `champ-dataset` package; `variant` keeps a category ("Sequence", ...)."""
    raw: dict[str, Any] = read_json(_file(path))
    corpus = [
        Source(id=name, text=each["_text"], title=each.get("name") or each.get("category") or "")
        for part in ("concepts", "hints")
        for name, each in raw[part].items()
    ]
    return Dataset(
        name=f"champ:{variant}" if variant else "champ",
        items=tuple(
            Item(
                id=name,
                question=problem["_text"],
                kind="expression",
                answers=(problem["_answer"],),
                relevant=tuple(dict.fromkeys(problem["ch_list"])),
                meta={"category": problem["category"]},
            )
            for name, problem in raw["problems"].items()
            if variant in {"", problem["category"]}
        ),
        corpus=tuple(corpus),
        origin="champ-dataset on the package index",
        licence="MIT",
    )


def _file(path: Path | None) -> Path:
    if path is not None and path.is_file():
        return path
    if path is not None or EvaluationSettings().data is not None:
        try:
            found = folder("champ", path) / "champ_core.json"
        except NotFound:
            found = None
        if found is not None and found.is_file():
            return found
    # the package's own module reads all of it when imported; only its file is wanted
    package = find_spec("champ_dataset")
    if package is None or package.origin is None:
        raise NotFound("CHAMP is neither in the evaluation data nor installed: run pip install champ-dataset")
    return Path(package.origin).parent / "dataset_files" / "v0.json"
