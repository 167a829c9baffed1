"""Mathematics: word problems, whole and without a needed premise, and competition problems."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.evaluation.datasets.files import EvaluationSettings, find_folder, read_json, read_lines
from pipelines.evaluation.datasets.items import Dataset, Item, Source
from pipelines.evaluation.datasets.registry import dataset
from services.core.errors import InvalidRequest, NotFound


@dataset("gsm8k")
def load_gsm8k(variant: str, path: Path | None) -> Dataset:
    """GSM8K: grade-school word problems with a number for an answer. Cobbe et al. (2021), arXiv:2110.14168.

    `variant` names the split, "test" by default.
    """
    split = variant or "test"
    source = find_folder("gsm8k", path) / f"{split}.jsonl"
    return Dataset(
        name="gsm8k",
        items=tuple(
            Item(
                id=f"gsm8k-{split}-{number}",
                question=row["question"],
                kind="numeric",
                answers=(_final_answer(row["answer"]),),
            )
            for number, row in read_lines(source)
        ),
        origin="github.com/openai/grade-school-math",
        licence="MIT",
    )


@dataset("mip_overthinking")
def load_mip_overthinking(variant: str, path: Path | None) -> Dataset:
    """Missing premises: GSM8K's questions without a needed premise, and whole; formulas without values.

    Fan et al. (2025), "Missing Premise exacerbates Overthinking: Are Reasoning Models losing Critical
    Thinking Skill?" Right is to say that something is missing. How long a model thinks before it does is the
    point of the set. `variant` is "gsm8k" (by default: pairs) or "formula" (unanswerable alone).
    """
    name = variant or "gsm8k"
    if name not in {"gsm8k", "formula"}:
        raise InvalidRequest(f"mip_overthinking has no part {name!r}: choose gsm8k or formula")
    rows = read_json(find_folder("mip_overthinking", path) / f"{name}.json")
    items: list[Item] = []
    for number, row in enumerate(rows, start=1):
        pair = f"mip-{name}-{number}"
        items.append(
            Item(
                id=f"{pair}-missing",
                question=row["insufficient_question"],
                kind="abstain",
                group=pair,
                answerable=False,
                meta={"role": "missing"},
            )
        )
        if "question" in row:
            items.append(
                Item(
                    id=f"{pair}-whole",
                    question=row["question"],
                    kind="numeric",
                    answers=(_final_answer(row["answer"]),),
                    group=pair,
                    meta={"role": "whole"},
                )
            )
    return Dataset(
        name=f"mip_overthinking:{name}",
        items=tuple(items),
        twins=True,
        origin="github.com/tianyi-lab/MiP-Overthinking",
        licence="MIT",
    )


@dataset("champ")
def load_champ(variant: str, path: Path | None) -> Dataset:
    """CHAMP: competition mathematics with concepts and hints, and so with relevance labels for a retrieval.

    Mao, Kim and Zhou (2024), arXiv:2401.06961. The 89 concepts and 456 hints are the corpus to ingest; a
    problem's own are its `relevant` ones. Asked without retrieval, the same items show what retrieving them
    buys. From a file, a folder or the `champ-dataset` package; `variant` keeps a category ("Sequence", ...).
    """
    raw: dict[str, Any] = read_json(_champ_file(path))
    corpus = [
        Source(id=name, text=entry["_text"], title=entry.get("name") or entry.get("category") or "")
        for part in ("concepts", "hints")
        for name, entry in raw[part].items()
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


def _final_answer(solution: str) -> str:
    """What follows "####" in a solution of GSM8K. InvalidRequest where nothing does."""
    _, marker, answer = solution.rpartition("####")
    if not marker:
        raise InvalidRequest(f"a GSM8K solution ends in '#### number', this one does not: {solution[-60:]!r}")
    return answer.strip().replace(",", "")


def _champ_file(path: Path | None) -> Path:
    if path is not None and path.is_file():
        return path
    if path is not None or EvaluationSettings().data is not None:
        try:
            found = find_folder("champ", path) / "champ_core.json"
        except NotFound:
            found = None
        if found is not None and found.is_file():
            return found
    # the package's own module reads all of it when imported; only its file is wanted
    package = find_spec("champ_dataset")
    if package is None or package.origin is None:
        raise NotFound("CHAMP is neither in the evaluation data nor installed: run pip install champ-dataset")
    return Path(package.origin).parent / "dataset_files" / "v0.json"
