"""Receiving a multipart form, however it is cut and whatever is wrong with it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.core.errors import (
    InvalidRequest,
    MalformedRequest,
    PayloadTooLarge,
    RaglineError,
    UnsupportedMedia,
)
from services.dataprep.upload.multipart import Form, UploadLimits, receive

TYPE = "multipart/form-data; boundary=XX"
LIMITS = UploadLimits(file_bytes=100, files=3, total_bytes=2_000_000)


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    shown = "" if filename is None else f'; filename="{filename}"'
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode() + value + b"\r\n"


END = b"--XX--\r\n"


async def get(
    body: bytes, folder: Path, *, step: int = 7, kind: str = TYPE, limits: UploadLimits = LIMITS
) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), step):
            yield body[at : at + step]

    return await receive(pieces(), kind, folder, limits)


@pytest.mark.parametrize("step", [1, 3, 64, 10_000])
async def test_files_and_fields_whatever_the_pieces(tmp_path: Path, step: int) -> None:
    body = (
        part("files", b"one\r\n--X\r\n", "guide/a.md")
        + part("names", b"x")
        + part("files", "zwei ü".encode(), "ü.txt")
        + part("names", b"y")
        + part("files", b"", "")
        + END
    )
    form = await get(body, tmp_path, step=step)
    assert [file.name for file in form.files] == ["guide/a.md", "ü.txt", ""]
    assert [file.path.read_bytes() for file in form.files] == [b"one\r\n--X\r\n", "zwei ü".encode(), b""]
    assert form.files[0].sha256 == hashlib.sha256(b"one\r\n--X\r\n").hexdigest()
    assert [file.size for file in form.files] == [10, 7, 0]
    assert form.fields == {"names": ["x", "y"]}


async def test_a_file_without_a_file_name_is_a_file(tmp_path: Path) -> None:
    form = await get(part("files", b"data") + END, tmp_path)
    assert [(file.name, file.size) for file in form.files] == [("", 4)]


def test_the_file_name_never_becomes_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    form = asyncio.run(get(part("files", b"data", "../escape.md") + END, folder))
    assert form.files[0].name == "../escape.md"
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "0"]


async def test_a_large_file_is_cut_and_the_rest_still_counts(tmp_path: Path) -> None:
    body = part("files", b"x" * 500_000, "big.txt") + part("files", b"small", "a.txt") + END
    form = await get(body, tmp_path, step=10_000)
    big, small = form.files
    assert (big.too_large, big.size) == (True, 500_000)
    assert big.path.stat().st_size <= LIMITS.file_bytes
    assert (small.too_large, small.path.read_bytes()) == (False, b"small")


async def test_a_file_of_exactly_the_limit_is_whole(tmp_path: Path) -> None:
    form = await get(part("files", b"x" * 100, "a.txt") + END, tmp_path)
    assert not form.files[0].too_large
    assert form.files[0].path.stat().st_size == 100


@pytest.mark.parametrize(
    ("body", "kind", "error", "words"),
    [
        (b"", TYPE, MalformedRequest, "cut off"),
        (part("files", b"x", "a.txt"), TYPE, MalformedRequest, "cut off"),
        (part("files", b"x", "a.txt")[:-8], TYPE, MalformedRequest, "cut off"),
        (b"nonsense", TYPE, MalformedRequest, "broken"),
        (b"--XX\r\nno colon\r\n\r\nx\r\n--XX--", TYPE, MalformedRequest, "broken"),
        (b"--XX\r\nX-Other: 1\r\n\r\nx\r\n--XX--\r\n", TYPE, MalformedRequest, "no name"),
        (b"{}", "application/json", UnsupportedMedia, "multipart/form-data"),
        (b"{}", "", UnsupportedMedia, "multipart/form-data"),
        (b"{}", "multipart/form-data", UnsupportedMedia, "multipart/form-data"),
        (part("file", b"x", "a.txt") + END, TYPE, InvalidRequest, "'file'"),
        (part("files", b"x", "a") * 4 + END, TYPE, PayloadTooLarge, "more than 3 files"),
        (part("names", b"x" * 70_000) + END, TYPE, PayloadTooLarge, "'names'"),
        (part("names", b"x") * 1001 + END, TYPE, PayloadTooLarge, "1000 fields"),
        (part("files", b"x" * 2_000_000, "a") + END, TYPE, PayloadTooLarge, "2000000 bytes"),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, body: bytes, kind: str, error: type[RaglineError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        await get(body, tmp_path, kind=kind, step=4096)
    assert type(caught.value) is error
