"""BIG-Bench Hard: tasks of reasoning with options. Suzgun et al. (2023), arXiv:2210.09261."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.evaluation.datasets.files import folder, read_json
from pipelines.evaluation.datasets.items import Dataset, Item
from services.core.errors import NotFound

_OPTIONS = re.compile(r"\nOptions:\n(.*)\Z", re.DOTALL)
_LETTERED = re.compile(r"^\(([A-Z])\)\s*(.*?)\s*$")
_PLAIN = {"boolean_expressions": ("True", "False"), "web_of_lies": ("Yes", "No")}


def load(variant: str, path: Path | None) -> Dataset:
    """The task that `variant` names, or every task whose file is there and whose answers are options."""
    source = folder("bbh", path)
    tasks = [variant] if variant else sorted(file.stem for file in source.glob("*.json"))
    if not tasks:
        raise NotFound(f"no task of BIG-Bench Hard in {source}")
    files = {task: read_json(source / f"{task}.json") for task in tasks}
    notices = {file.get("canary", "") for file in files.values()}
    return Dataset(
        name=f"bbh:{variant}" if variant else "bbh",
        items=tuple(
            _item(task, number, example["input"], example["target"])
            for task, file in files.items()
            for number, example in enumerate(file["examples"], start=1)
        ),
        origin="github.com/suzgunmirac/BIG-Bench-Hard",
        licence="MIT",
        notice=" ".join(sorted(notices)),
    )


def _item(task: str, number: int, text: str, target: str) -> Item:
    listed = _OPTIONS.search(text)
    question = text[: listed.start()] if listed else text
    options: tuple[str, ...] = _PLAIN.get(task, ())
    answer = target
    if listed is not None:
        lines = [line for line in listed.group(1).splitlines() if line.strip()]
        lettered = [match for line in lines if (match := _LETTERED.match(line))]
        options = tuple(match.group(2) for match in lettered) or tuple(
            line.lstrip("- ").strip() for line in lines
        )
        answer = next((match.group(2) for match in lettered if f"({match.group(1)})" == target), target)
    return Item(
        id=f"bbh-{task}-{number}",
        question=question.strip(),
        kind="choice" if options else "exact",
        answers=(answer,),
        options=options,
        meta={"task": task},
    )
