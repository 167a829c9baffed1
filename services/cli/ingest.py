"""`ragline ingest`: upload files and folders, one request per file, and say what became of each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress as Bars

from services.cli.console import Output
from services.cli.errors import UsageError
from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import RaglineError, ServiceUnavailable
from services.dataprep import archives
from services.dataprep.parsers import FORMATS

SUFFIXES = frozenset([*archives.SUFFIXES, *(suffix for suffixes in FORMATS.values() for suffix in suffixes)])
FILE_SECONDS = 600.0
CHUNK_BYTES = 1 << 18


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
            uploads += [Upload(file, file.relative_to(path.parent).as_posix()) for file in _below(path)]
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


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") for part in inside) or path.suffix.lower() not in SUFFIXES:
            continue
        if path.is_file() and path.resolve() == path:
            yield path


async def ingest(uploads: Sequence[Upload], client: HttpClient, collection: str, output: Output) -> int:
    """Upload one after another; how many failed. Raises `ServiceUnavailable` where the gateway is down."""
    failed = 0
    with _progress(output, len(uploads)) as advance:
        for upload in uploads:
            try:
                await _send(upload, client, collection)
            except ServiceUnavailable as error:
                if error.service == client.service:  # every other file would fail the same way
                    raise
                failed += _failed(upload, error, output)
            except (RaglineError, OSError) as error:
                failed += _failed(upload, error, output)
            else:
                output.line(f"ok      {upload.name}")
            advance()
    output.line(f"{len(uploads) - failed} of {len(uploads)} files are in collection {collection}")
    return failed


def _failed(upload: Upload, error: RaglineError | OSError, output: Output) -> int:
    message = error.message if isinstance(error, RaglineError) else str(error)
    output.line(f"failed  {upload.name}: {message}", style="red")
    return 1


async def _send(upload: Upload, client: HttpClient, collection: str) -> None:
    start_request(uuid.uuid4().hex, FILE_SECONDS)
    boundary = uuid.uuid4().hex
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    await client.post("/v1/documents", _multipart(upload, collection, boundary), headers=headers)


async def _multipart(upload: Upload, collection: str, boundary: str) -> AsyncGenerator[bytes]:
    """The form: `collection`, then the file in `files`, read as it is sent."""
    name = upload.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="collection"\r\n\r\n{collection}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    with upload.path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


@contextmanager
def _progress(output: Output, total: int) -> Iterator[Callable[[], None]]:
    if not output.out.is_terminal:
        yield lambda: None
        return
    with Bars(console=output.out, transient=True) as bars:
        task = bars.add_task("ingesting", total=total)
        yield lambda: bars.advance(task)
