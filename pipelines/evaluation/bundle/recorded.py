"""The results beside a bundle's records: the same results are the same bytes."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pipelines.evaluation.bundle.files import replace
from pipelines.evaluation.bundle.store import RESULTS
from pipelines.evaluation.results import Results
from services.core.errors import InvalidRequest, NotFound


def encoded(results: Results) -> bytes:
    return results.model_dump_json(indent=1).encode() + b"\n"


def write_results(folder: Path, results: Results) -> None:
    """In one step; what was there is replaced. InvalidRequest where the folder cannot be written."""
    try:
        replace(folder / RESULTS, encoded(results))
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
