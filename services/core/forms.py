"""A form with files as the body of a request, read as it is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 18


def write_form(
    fields: Mapping[str, str], files: Iterable[tuple[str, Path | bytes]]
) -> tuple[dict[str, str], AsyncGenerator[bytes]]:
    """Write `multipart/form-data`.

    Args:
        fields: The form's fields, before its files.
        files: Names and contents of the files in the field `files`; a path is read when its turn comes.

    Returns:
        The request's headers, and its body; reading it raises `OSError` where a file cannot be read.
    """
    boundary = uuid.uuid4().hex
    return {"content-type": f"multipart/form-data; boundary={boundary}"}, _write_body(fields, files, boundary)


async def _write_body(
    fields: Mapping[str, str], files: Iterable[tuple[str, Path | bytes]], boundary: str
) -> AsyncGenerator[bytes]:
    for field, value in fields.items():
        yield (f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n').encode()
    for name, content in files:
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        yield (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{quoted}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        if isinstance(content, bytes):
            yield content
        else:
            with content.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
