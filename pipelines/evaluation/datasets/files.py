"""Reading the files of evaluation data. Nothing of it is kept in the project or copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from services.core.errors import InvalidRequest, NotFound
from services.core.settings import Settings


class EvaluationSettings(Settings):
    """Of the evaluation alone; no service reads it."""

    data: Path | None = Field(
        None,
        validation_alias="RAGLINE_EVALUATION_DATA",
        description="folder with the public evaluation sets, one folder each; `--data` comes first",
    )


def find_folder(name: str, path: Path | None) -> Path:
    """The folder of the data set `name`: `path` itself or its subfolder of that name, else the settings'.

    NotFound where there is none.
    """
    root = path or EvaluationSettings().data
    if root is None:
        raise NotFound(f"the data set {name!r} is read from a folder: give --data or RAGLINE_EVALUATION_DATA")
    for candidate in (root / name, root):
        if candidate.is_dir() and (candidate.name == name or path is not None):
            return candidate
    raise NotFound(f"no data set {name!r} in {root}: it is expected in the folder {root / name}")


def read_json(path: Path) -> Any:  # noqa: ANN401 - the files of others, checked by who reads them
    """The content of a JSON file. NotFound or InvalidRequest names the path where it cannot be read."""
    if not path.is_file():
        raise NotFound(f"no file {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRequest(f"{path} is not JSON: {error}") from None


def read_lines(path: Path) -> list[tuple[int, Any]]:
    """The objects of a JSONL file with their line numbers; blank lines are skipped."""
    if not path.is_file():
        raise NotFound(f"no file {path}")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except ValueError as error:
            raise InvalidRequest(f"{path}, line {number}: not JSON ({error})") from None
    return rows
