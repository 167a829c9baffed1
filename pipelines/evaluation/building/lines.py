"""The files of a question set that is being built: what is kept, and beside it what is dropped and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Line(_Record):
    meta: dict[str, str]


class Source(_Record):
    """Says where a question is from, for its reviewer. `replaced` says which words were replaced by which."""

    document: str
    title: str = ""
    section: str = ""
    page: int | None = None
    passage: str
    text: str
    replaced: str = ""

    @classmethod
    def of(cls, passage: Passage, replaced: str = "") -> Source:
        return cls(
            document=passage.document_id,
            title=passage.title,
            section=passage.section,
            page=passage.page,
            passage=passage.id,
            text=passage.text,
            replaced=replaced,
        )


class Made(_Line):
    """A line of the set, as `datasets/own.py` reads it; `meta` holds the options and the attempt."""

    id: str
    question: str
    answer: str | None = None
    answerable: bool
    group: str
    relevant: list[str] = Field(default_factory=list)
    review: str = ""
    source: Source


class Dropped(_Line):
    """A line of the file of dropped drafts; `reply` is the model's text."""

    attempt: int
    reason: str
    passage: str
    document: str
    reply: str


_R = TypeVar("_R", bound=_Line)


class Files:
    """Keeps both files. They grow a whole line at a time; a last line that a kill cut short is taken off."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.dropped_path = out.with_suffix(".dropped.jsonl")

    @property
    def exist(self) -> bool:
        return any(path.exists() and path.stat().st_size for path in (self.out, self.dropped_path))

    def read(self, options: dict[str, str]) -> tuple[list[Made], list[Dropped]]:
        """Read both files.

        Raises:
            InvalidRequest: They were made with other options, or are not such files.
        """
        made = [self._parse(Made, self.out, number, raw) for number, raw in _read_whole_lines(self.out)]
        dropped = [
            self._parse(Dropped, self.dropped_path, number, raw)
            for number, raw in _read_whole_lines(self.dropped_path)
        ]
        written: list[_Line] = [*made, *dropped]
        for meta in (line.meta for line in written):
            for name, value in options.items():
                if meta.get(name) != value:
                    raise InvalidRequest(
                        f"{self.out} was made with {name} {meta.get(name)!r}, not {value!r}: use the same "
                        "options to go on with it, or another file"
                    )
        return made, dropped

    def keep(self, line: Made) -> None:
        _append(self.out, line)

    def drop(self, line: Dropped) -> None:
        _append(self.dropped_path, line)

    @staticmethod
    def _parse(kind: type[_R], path: Path, number: int, raw: bytes) -> _R:
        try:
            return kind.model_validate_json(raw)
        except ValidationError as error:
            raise InvalidRequest(
                f"{path}, line {number}: not written by this command ({error.errors()[0]['msg']})"
            ) from None


def count_reasons(dropped: list[Dropped]) -> dict[str, int]:
    """Count the drafts that were dropped for each reason, the most frequent first."""
    return dict(Counter(line.reason for line in dropped).most_common())


def _read_whole_lines(path: Path) -> list[tuple[int, bytes]]:
    """Read the numbers and the bytes of a file's lines; a last line without its end is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [(number, raw) for number, raw in enumerate(whole.splitlines(), start=1) if raw.strip()]


def _append(path: Path, line: _Line) -> None:
    with path.open("ab") as file:
        file.write(orjson.dumps(line.model_dump(exclude_none=True)) + b"\n")
