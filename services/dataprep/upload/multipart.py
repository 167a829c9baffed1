"""Receiving an upload: multipart, written to a folder as it comes, never held in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qs

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.core.disk import DiskGuard
from services.core.errors import (
    InvalidRequest,
    MalformedRequest,
    PayloadTooLarge,
    RaglineError,
    UnsupportedMedia,
)

FILES_FIELD = "files"
LINKS_FIELD = "link_list"
URLENCODED: Final = b"application/x-www-form-urlencoded"
FIELD_BYTES = 64 * 1024
MAX_FIELDS = 1000
CHECK_BYTES = 1 << 20
"""After so many bytes it is looked whether the disk has space."""

INGEST_BODY: Final[dict[str, object]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "documents and archives; a file's name is its document's",
                        },
                        "names": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "names in place of the files' own, in their order: guide/setup.md",
                        },
                        "link_list": {
                            "type": "string",
                            "description": "a JSON list of links, where DATAPREP_FETCH_URLS allows them",
                        },
                        "collection": {"type": "string"},
                        "chunk_size": {"type": "integer", "description": "characters; default CHUNK_SIZE"},
                        "chunk_overlap": {"type": "integer", "description": "at most half of chunk_size"},
                        "encoding": {
                            "type": "string",
                            "description": "of the text files, such as cp1252; left out: told or guessed",
                        },
                        "strict": {"type": "boolean", "description": "a file with warnings fails"},
                        "metadata": {
                            "type": "string",
                            "description": "a JSON object for all files: texts, numbers, booleans, lists of "
                            "texts; of one file: a file NAME.meta.json beside it",
                        },
                        "index_name": {"type": "string", "description": "OPEA's word for collection"},
                        "process_table": {"type": "boolean", "description": "OPEA's; tables are always read"},
                        "table_strategy": {"type": "string", "enum": ["fast", "hq"]},
                        "ingest_from_graphDB": {"type": "boolean", "enum": [False]},
                    },
                }
            }
        },
    }
}
"""What `/docs` says of the form, which the route reads as it comes."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What an upload may bring; a quarter of `least_free` bytes stay free on its disk."""

    file_bytes: int
    files: int
    total_bytes: int
    least_free: int = 0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as received, or of an archive; where it was too large only its start is at `path`.

    `error` says why it cannot be ingested, where that is known already.
    """

    name: str
    path: Path
    size: int
    sha256: str
    too_large: bool = False
    error: RaglineError | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """The files in their order, and the other fields' values by name."""

    files: list[Upload] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)


async def receive(body: AsyncIterator[bytes], content_type: str, folder: Path, limits: UploadLimits) -> Form:
    """Read the whole body. A file over its limit is cut and marked; the rest of the form still counts.

    A form with links and no files may be urlencoded. Raises `UnsupportedMedia` where it is no form,
    `MalformedRequest` where it is broken, `PayloadTooLarge` for more files or bytes than one may have.
    """
    kind, options = parse_options_header(content_type)
    if kind == URLENCODED and LINKS_FIELD in (fields := await _read_urlencoded(body)):
        return Form(fields=fields)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedMedia(f"upload files as multipart/form-data, in fields named `{FILES_FIELD}`")
    receiver = _Receiver(folder, limits)
    disk = DiskGuard(folder, limits.least_free)
    received = room = 0
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": receiver.part_begin,
                "on_header_field": receiver.header_field,
                "on_header_value": receiver.header_value,
                "on_header_end": receiver.header_end,
                "on_headers_finished": receiver.headers_finished,
                "on_part_data": receiver.part_data,
                "on_part_end": receiver.part_end,
                "on_end": receiver.end,
            },
        )
        async for piece in body:
            received += len(piece)
            if received > limits.total_bytes:
                raise PayloadTooLarge(
                    f"the upload is larger than {limits.total_bytes} bytes: send fewer files at a time"
                )
            if received > room:
                disk.check_small()
                room = received + CHECK_BYTES
            await asyncio.to_thread(parser.write, piece)  # it writes to the disk
    except FormParserError as error:
        raise MalformedRequest(f"the multipart body is broken: {error}") from None
    finally:
        receiver.close()
    if not receiver.ended:
        raise MalformedRequest("the multipart body ends before its closing boundary: it was cut off")
    return receiver.form


async def _read_urlencoded(body: AsyncIterator[bytes]) -> dict[str, list[str]]:
    """Read the fields of `application/x-www-form-urlencoded`, which is how some clients send links alone."""
    text = b""
    async for piece in body:
        text += piece
        if len(text) > FIELD_BYTES:
            raise PayloadTooLarge(f"the form is larger than {FIELD_BYTES} bytes: send files as multipart")
    try:
        return parse_qs(text.decode("ascii"), max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise MalformedRequest(f"the form is broken: {error}") from None


class _Receiver:
    """The parser's callbacks. Every part in the field `files` is a file, whatever its headers say."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self.form = Form()
        self.ended = False
        self._folder = folder
        self._limits = limits
        self._header = b""
        self._value = b""
        self._field = ""
        self._name: str | None = None
        self._text = bytearray()
        self._file: _File | None = None

    def part_begin(self) -> None:
        self._header = self._value = b""
        self._field, self._name, self._file = "", None, None
        self._text.clear()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._field = _text(options.get(b"name", b""))
            self._name = _text(options[b"filename"]) if b"filename" in options else None
        self._header = self._value = b""

    def headers_finished(self) -> None:
        if self._field == FILES_FIELD:
            if len(self.form.files) >= self._limits.files:
                raise PayloadTooLarge(f"more than {self._limits.files} files: send fewer at a time")
            path = self._folder / str(len(self.form.files))
            self._file = _File(self._name or "", path, self._limits.file_bytes)
        elif self._name is not None:
            raise InvalidRequest(f"a file came in the field {self._field!r}: send it in `{FILES_FIELD}`")
        elif not self._field:
            raise MalformedRequest("the multipart body is broken: a part has no name")

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > FIELD_BYTES:
            raise PayloadTooLarge(f"the field {self._field!r} is larger than {FIELD_BYTES} bytes")

    def part_end(self) -> None:
        if self._file is not None:
            self.form.files.append(self._file.finish())
            self._file = None
            return
        if sum(map(len, self.form.fields.values())) >= MAX_FIELDS:
            raise PayloadTooLarge(f"the form has more than {MAX_FIELDS} fields")
        self.form.fields.setdefault(self._field, []).append(_text(bytes(self._text)))

    def end(self) -> None:
        self.ended = True

    def close(self) -> None:
        if self._file is not None:
            self._file.finish()


class _File:
    """Hashes and writes what comes, up to the limit."""

    def __init__(self, name: str, path: Path, limit: int) -> None:
        self._name = name
        self._path = path
        self._limit = limit
        self._size = 0
        self._hash = hashlib.sha256()
        self._out: BinaryIO = path.open("xb")

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._hash.update(data)
            self._out.write(data)

    def finish(self) -> Upload:
        self._out.close()
        return Upload(
            self._name, self._path, self._size, self._hash.hexdigest(), too_large=self._size > self._limit
        )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
