"""Riddles and puzzles: Ragline's own logic set, Misguided Attention, and BIG-Bench Hard."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from pipelines.evaluation.datasets.files import find_folder, read_json, read_lines
from pipelines.evaluation.datasets.items import Dataset, Item
from pipelines.evaluation.datasets.registry import dataset
from services.core.errors import InvalidRequest, NotFound

_PROMPT = re.compile(r"^\*\s+\*\*(\w+)\*\*\s+-\s+\"(.+)\"\s*$", re.MULTILINE)
_OPTIONS = re.compile(r"\nOptions:\n(.*)\Z", re.DOTALL)
_LETTERED = re.compile(r"^\(([A-Z])\)\s*(.*?)\s*$")
_PLAIN = {"boolean_expressions": ("True", "False"), "web_of_lies": ("Yes", "No")}


@dataset("logic")
def load_logic(variant: str, path: Path | None) -> Dataset:
    """Ragline's own logic set: riddles with a trap, each with a twin of the same surface and another answer.

    A model that answers by the pattern of a known riddle gets one of two twins wrong; one that reasons gets
    both right. The set starts from the founding question, of a pound of water, two pounds of bricks, a pound
    of feathers and three pounds of air. Every answer is unambiguous and has its reason; most are recomputed
    by the tests from `check`. `variant` keeps a family ("weights", "altered-classics", ...).
    """
    del path  # it is shipped
    rows = [row for _, row in read_lines(Path(str(files("pipelines.evaluation.datasets") / "logic.jsonl")))]
    families = sorted({row["family"].replace(" ", "-") for row in rows})
    if variant and variant not in families:
        raise InvalidRequest(f"the logic set has no family {variant!r}: choose one of {', '.join(families)}")
    return Dataset(
        name="logic",
        items=tuple(
            Item(
                id=row["id"],
                question=row["question"],
                kind=row["kind"],
                answers=(row["answer"],),
                options=tuple(row.get("options", ())),
                group=row["twin"],
                meta={"family": row["family"], "role": row["role"], "why": row["why"]},
            )
            for row in rows
            if variant in {"", row["family"].replace(" ", "-")}
        ),
        twins=True,
        origin="written for Ragline",
        licence="that of Ragline",
    )


@dataset("misguided_attention")
def load_misguided_attention(variant: str, path: Path | None) -> Dataset:
    """Misguided Attention: thirteen known riddles, altered, without references: for reading, or for a judge.

    github.com/cpldcpu/MisguidedAttention. Only the prompts that its authors publish in the clear are read;
    the longer sets are scrambled against crawlers, and stay so.
    """
    del variant
    source = find_folder("misguided_attention", path) / "prompts.md"
    if not source.is_file():
        raise NotFound(f"no file {source}")
    return Dataset(
        name="misguided_attention",
        items=tuple(
            Item(id=name, question=question, kind="free")
            for name, question in _PROMPT.findall(source.read_text(encoding="utf-8"))
        ),
        origin="github.com/cpldcpu/MisguidedAttention",
        licence="CC0-1.0",
    )


@dataset("bbh")
def load_bbh(variant: str, path: Path | None) -> Dataset:
    """BIG-Bench Hard: tasks of reasoning with options. Suzgun et al. (2023), arXiv:2210.09261.

    The task that `variant` names, or every task whose file is there and whose answers are options.
    """
    source = find_folder("bbh", path)
    tasks = [variant] if variant else sorted(file.stem for file in source.glob("*.json"))
    if not tasks:
        raise NotFound(f"no task of BIG-Bench Hard in {source}")
    contents = {task: read_json(source / f"{task}.json") for task in tasks}
    notices = {content.get("canary", "") for content in contents.values()}
    return Dataset(
        name=f"bbh:{variant}" if variant else "bbh",
        items=tuple(
            _bbh_item(task, number, example["input"], example["target"])
            for task, content in contents.items()
            for number, example in enumerate(content["examples"], start=1)
        ),
        origin="github.com/suzgunmirac/BIG-Bench-Hard",
        licence="MIT",
        notice=" ".join(sorted(notices)),
    )


def _bbh_item(task: str, number: int, text: str, target: str) -> Item:
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
