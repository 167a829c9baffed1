"""Your own questions: a JSONL file with one object a line. docs/evaluation/sets.md shows how to write it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.evaluation.datasets.files import read_lines
from pipelines.evaluation.datasets.items import Dataset, Item, Kind, Source
from pipelines.evaluation.reading.numbers import find_numbers
from pipelines.evaluation.reading.text import normalise
from services.core.errors import InvalidRequest
from services.core.wire.base import Text


class _Passage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text = Field(min_length=1)
    id: str = ""
    title: Text = ""


class _Origin(BaseModel):
    """What `ragline dataset build` says of a question's source; it may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    document: Text = ""
    title: Text = ""
    passage: Text = ""


class _Line(BaseModel):
    """The fields of a line; only `question` must be there. A line whose `review` is "drop" is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Text
    answer: Text | float | list[Text] | None = None
    passages: list[Text | _Passage] = Field(default_factory=list)
    group: str = ""
    id: str = ""
    kind: Kind | None = None
    options: list[Text] = Field(default_factory=list)
    answerable: bool = True
    relevant: list[str] = Field(default_factory=list)
    meta: dict[str, str] = Field(default_factory=dict)
    review: Literal["", "keep", "drop"] = ""
    source: _Origin | None = None


def load_own(path: Path) -> Dataset:
    """Read the questions of a file. InvalidRequest names the file and the line that is wrong, and why."""
    items: list[Item] = []
    lines: dict[str, int] = {}
    for number, raw in read_lines(path):
        item = _read_item(number, raw, f"{path}, line {number}")
        if item.id in lines:
            raise InvalidRequest(
                f"{path}, line {number}: the id {item.id!r} is that of line {lines[item.id]}: ids are unique"
            )
        lines[item.id] = number
        if raw.get("review") != "drop":
            items.append(item)
    if not items:
        dropped = f" that are not dropped by `review` ({len(lines)} are)" if lines else ""
        raise InvalidRequest(
            f"{path} has no questions{dropped}: write one JSON object a line, with a `question`"
        )
    corpus = {passage.id: passage for item in items for passage in item.passages}
    return Dataset(name=path.stem, items=tuple(items), corpus=tuple(corpus.values()), origin=path.name)


def _read_item(number: int, raw: object, place: str) -> Item:
    if not isinstance(raw, dict) or not str(raw.get("question") or "").strip():
        raise InvalidRequest(f"{place}: no question; a line is an object with a `question`")
    try:
        line = _Line.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{place}: `{where}`: {first['msg']}") from None
    answers = _list_answers(line)
    kind = line.kind or _infer_kind(line, answers)
    if not line.answerable and answers:
        raise InvalidRequest(f"{place}: an `answer` to a question that is not `answerable`: leave one out")
    if kind not in {"free", "abstain"} and not answers:
        raise InvalidRequest(f"{place}: the kind {kind!r} is compared with an `answer`, and there is none")
    if kind == "choice" and not set(answers) & set(line.options):
        raise InvalidRequest(f"{place}: the answer {answers[0]!r} is none of its options")
    if kind == "numeric" and not find_numbers(answers[0]):
        raise InvalidRequest(f"{place}: the kind 'numeric' needs a number, not {answers[0]!r}")
    name = line.id or f"line-{number}"
    return Item(
        id=name,
        question=line.question,
        kind=kind,
        answers=answers,
        options=tuple(line.options),
        passages=tuple(
            _read_passage(passage, f"{name}-{position}")
            for position, passage in enumerate(line.passages, start=1)
        ),
        relevant=tuple(line.relevant),
        group=line.group,
        answerable=line.answerable and kind != "abstain",
        meta=line.meta | ({"document": line.source.title or line.source.document} if line.source else {}),
    )


def _list_answers(line: _Line) -> tuple[str, ...]:
    if line.answer is None:
        return ()
    if isinstance(line.answer, list):
        return tuple(line.answer)
    return (f"{line.answer:.15g}",) if isinstance(line.answer, float) else (line.answer,)


def _infer_kind(line: _Line, answers: tuple[str, ...]) -> Kind:
    if not line.answerable:
        return "abstain"
    if not answers:
        return "free"
    if line.options:
        return "choice"
    # a number and nothing beside it: words around it ("9 to 5") are compared as words
    numbers = find_numbers(answers[0])
    bare = not any(character.isalpha() for character in normalise(answers[0]))
    return "numeric" if len(answers) == 1 and len(numbers) == 1 and bare else "exact"


def _read_passage(passage: str | _Passage, name: str) -> Source:
    if isinstance(passage, str):
        return Source(id=name, text=passage)
    return Source(id=passage.id or name, text=passage.text, title=passage.title)
