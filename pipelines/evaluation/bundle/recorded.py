"""The results beside a bundle's records: the same results are the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from pipelines.evaluation.bundle.files import replace
from pipelines.evaluation.bundle.store import RESULTS
from pipelines.evaluation.results import Results
from services.core.errors import InvalidRequest, NotFound


def encode_results(results: Results) -> bytes:
    return results.model_dump_json(indent=1).encode() + b"\n"


def write_results(folder: Path, results: Results) -> None:
    """In one step; what was there is replaced. InvalidRequest where the folder cannot be written."""
    try:
        replace(folder / RESULTS, encode_results(results))
    except OSError as error:
        raise InvalidRequest(f"{folder / RESULTS} cannot be written: {error.strerror}") from None


def read_results(folder: Path) -> Results:
    """NotFound where there are none; InvalidRequest where they are of another shape: 'ragline replay' makes
    them anew."""
    path = folder / RESULTS
    try:
        return Results.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"no {path}: 'ragline replay {folder}' writes it") from None
    except (OSError, ValidationError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise InvalidRequest(
            f"{path} cannot be read ({what}): another version wrote it, or it was changed; "
            f"'ragline replay {folder}' writes it anew"
        ) from None


_NAMES = ("scope", "metric", "figure", "level", "question", "arm", "repeat")
"""What tells the entries of a list apart, where they have it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure or sentence; None where one side does not have it."""

    where: str
    recorded: JsonValue
    replayed: JsonValue


def list_changes(recorded: Results, replayed: Results) -> list[Change]:
    """Every figure and sentence that is not the same, bit for bit; in the results' order."""
    left = dict(_leaves(recorded.model_dump(mode="json"), ""))
    right = dict(_leaves(replayed.model_dump(mode="json"), ""))
    return [
        Change(where, left.get(where), right.get(where))
        for where in dict.fromkeys((*left, *right))
        if where not in left or where not in right or left[where] != right[where]
    ]


def _leaves(value: JsonValue, where: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{where} {name}".strip())
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{where}[{_name(each, index)}]")
    else:
        yield where, value


def _name(value: JsonValue, index: int) -> str:
    if not isinstance(value, dict):
        return str(index)
    return ", ".join(str(value[name]) for name in _NAMES if name in value) or str(index)
