"""Which files there are to upload, and under which names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import UsageError
from services.dataprep.parsing import archives
from services.dataprep.parsing.formats import FORMATS

SUFFIXES = frozenset([*archives.SUFFIXES, *(suffix for suffixes in FORMATS.values() for suffix in suffixes)])


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the name it is stored under."""

    path: Path
    name: str


def collect(paths: Sequence[Path]) -> list[Upload]:
    """The files to upload, sorted by name.

    A folder gives every supported file below it, hidden ones and links left out, named from the folder's own
    name on (`docs/guide/setup.md`), whatever the working directory; a file given by itself keeps its file
    name.
    Raises `UsageError` where a path does not exist, nothing is left, or two files would share a name.
    """
    uploads: list[Upload] = []
    for given in paths:
        path = given.resolve()
        if path.is_dir():
            uploads += below(path)
        elif path.is_file():
            uploads.append(Upload(path, path.name))
        else:
            raise UsageError(f"{given} does not exist: name files or folders")
    unique = {upload.path: upload for upload in sorted(uploads, key=lambda upload: len(upload.name))}
    names: dict[str, Path] = {}
    for upload in unique.values():
        if upload.name in names:
            raise UsageError(
                f"{names[upload.name]} and {upload.path} would both be stored as {upload.name!r}: "
                "ingest their common folder instead, or rename one"
            )
        names[upload.name] = upload.path
    if not names:
        raise UsageError(f"nothing to ingest: no file ends in {', '.join(sorted(SUFFIXES))}")
    return sorted(unique.values(), key=lambda upload: upload.name)


def below(folder: Path) -> list[Upload]:
    """The supported files below a folder; hidden ones, those in hidden folders, and links are left out."""
    root = folder.resolve()
    return [Upload(path, path.relative_to(root.parent).as_posix()) for path in _files(root)]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") for part in inside) or path.suffix.lower() not in SUFFIXES:
            continue
        if path.is_file() and path.resolve() == path:
            yield path
