"""The results beside a bundle's records: written, read, and compared with those of a replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from pipelines.evaluation.bundle.files import RESULTS
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.results import Results
from services.core.errors import InvalidRequest, NotFound
from services.core.files import replace_atomically

_KEYS = ("scope", "metric", "figure", "level", "question", "arm", "repeat")
"""The fields that tell the entries of a list apart, where they have them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure or sentence that is not as it was recorded; None where one side does not have it."""

    where: str
    recorded: JsonValue
    replayed: JsonValue


def encode_results(results: Results) -> bytes:
    """The content of the file: the same results are the same bytes."""
    return results.model_dump_json(indent=1).encode() + b"\n"


def write_results(folder: Path, results: Results) -> None:
    """Write the file in one step, in place of what was there. InvalidRequest where the folder cannot be
    written."""
    try:
        replace_atomically(folder / RESULTS, encode_results(results))
    except OSError as error:
        raise InvalidRequest(f"{folder / RESULTS} cannot be written: {error.strerror}") from None


def forget_results(folder: Path) -> None:
    """Take a bundle's results away before records are added: they would be those of another bundle.

    Raises:
        InvalidRequest: The records are not those that the results were made of. Of records without results,
            as a run that was stopped has them, nobody knows.
    """
    try:
        recorded = read_results(folder)
    except (NotFound, InvalidRequest):
        return
    if fingerprint(read_bundle(folder)) != recorded.bundle:
        raise InvalidRequest(
            f"the records in {folder} are not those that its {RESULTS} was made of: they were changed after "
            "the run; take the bundle as it was recorded, or choose another --out"
        )
    (folder / RESULTS).unlink()


def read_results(folder: Path) -> Results:
    """Read the results of a bundle.

    Raises:
        NotFound: There are none.
        InvalidRequest: They are of another shape; 'ragline replay' makes them anew.
    """
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


def list_changes(recorded: Results, replayed: Results) -> list[Change]:
    """List every figure and sentence that is not the same, bit for bit, in the results' order."""
    left = dict(_walk_leaves(recorded.model_dump(mode="json"), ""))
    right = dict(_walk_leaves(replayed.model_dump(mode="json"), ""))
    return [
        Change(where, left.get(where), right.get(where))
        for where in dict.fromkeys((*left, *right))
        if where not in left or where not in right or left[where] != right[where]
    ]


def _walk_leaves(value: JsonValue, where: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _walk_leaves(child, f"{where} {name}".strip())
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _walk_leaves(entry, f"{where}[{_name_entry(entry, index)}]")
    else:
        yield where, value


def _name_entry(value: JsonValue, index: int) -> str:
    if not isinstance(value, dict):
        return str(index)
    return ", ".join(str(value[name]) for name in _KEYS if name in value) or str(index)
