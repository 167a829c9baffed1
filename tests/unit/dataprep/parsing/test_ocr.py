"""Scans and pictures are read by OCR where it is installed, in a process of its own, and else named."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.document import Limits, Unparsable
from services.dataprep.parsing.registry import find_contradiction, parse, supported_suffixes
from services.dataprep.parsing.sandbox import Sandbox
from tests import samples

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
LINE = "The penalty is 900 euros."


def test_without_ocr_a_picture_is_refused_with_the_extra_and_a_scan_is_named() -> None:
    with pytest.raises(Unparsable, match=r"is a picture, .*ragline\[dataprep-ocr\]") as caught:
        parse("a.png", PNG)
    assert (caught.value.reason, caught.value.needs_ocr) == ("unsupported", True)
    with pytest.raises(Unparsable, match="run OCR on it first") as caught:
        parse("a.pdf", samples.pdf([[]]))
    assert caught.value.needs_ocr
    assert find_contradiction(PNG, "image") == ""
    assert find_contradiction(b"II*\0" + bytes(9), "text") == "a TIFF image"


def test_pictures_are_listed_where_they_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dataprep.parsing.registry.find_spec", lambda _: None)
    assert ".png" not in supported_suffixes()
    monkeypatch.setattr("services.dataprep.parsing.registry.find_spec", lambda _: object())
    assert ".png" in supported_suffixes()


def draw(*lines: str) -> bytes:
    image = pytest.importorskip("PIL.Image")
    font = pytest.importorskip("PIL.ImageFont").load_default(size=28)
    page = image.new("RGB", (900, 1200), "white")
    drawing = pytest.importorskip("PIL.ImageDraw").Draw(page)
    for at, line in enumerate(lines):
        drawing.text((100, 150 + 60 * at), line, fill="black", font=font)
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def scan(picture: bytes) -> bytes:
    """A PDF whose only page is that picture."""
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(picture))
    out = io.BytesIO()
    image.save(out, "PDF", resolution=150)
    return out.getvalue()


async def test_scans_and_pictures_are_read_in_the_sandbox(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    limits = Limits()
    ocr = Sandbox(
        processes=1, seconds=300, memory_bytes=6 << 30, limits=replace(limits, ocr=True), readable=tmp_path
    )
    sandbox = Sandbox(
        processes=1, seconds=60, memory_bytes=1 << 30, limits=limits, readable=tmp_path, ocr=ocr
    )
    picture = draw(LINE, "It is due within thirty days.")
    (tmp_path / "scan").write_bytes(scan(picture))
    (tmp_path / "picture").write_bytes(picture)
    (tmp_path / "plain").write_bytes(samples.pdf([["Tides follow the moon."]]))
    try:
        scanned = await sandbox.parse(tmp_path / "scan", "scan.pdf", Chunking())
        assert scanned.text == f"{LINE}\nIt is due within thirty days."
        [warning] = scanned.warnings
        assert warning.kind == "text_recognised"
        assert warning.message.startswith("page 1 was read by OCR, the least sure line with ")
        first = scanned.boxes[0]
        assert scanned.text[first.start : first.end] == LINE
        assert first.page == 1
        assert abs(first.left - 100 / 900) < 0.02
        assert abs(first.top - 150 / 1200) < 0.03
        read = await sandbox.parse(tmp_path / "picture", "picture.png", Chunking())
        assert read.text == scanned.text
        plain = await sandbox.parse(tmp_path / "plain", "plain.pdf", Chunking())
        assert (plain.warnings, plain.boxes) == ((), ())
    finally:
        await sandbox.close()
