"""Text of pictures by OCR: PP-OCRv6 on OpenVINO, from the weights in rapidocr's package, which are pinned.

A picture is cut to what is drawn on it and into bands, so that small letters are not made smaller still to
fit the detector. Lines come with their boxes, and are brought into order as those of a PDF page are.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from services.dataprep.parsing.document import TextBox
from services.dataprep.parsing.page_layout import Piece, arrange

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = 3.0
"""Pixels for a point: 216 to an inch."""

SURE = 0.5
"""A line of less confidence is no text."""

_WEIGHTS = {
    "PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx":  # which way up a line stands
    "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
}
_INK = 60
"""What is so much darker or lighter than the paper is drawn."""

_MARGIN = 40
_BAND = 1000
_THREADS = 2


class _Found(Protocol):
    boxes: NDArray[np.float32] | None
    txts: tuple[str, ...] | None
    scores: tuple[float, ...] | None


class _Engine(Protocol):
    def __call__(self, image: NDArray[np.uint8], /) -> _Found: ...


@dataclass(frozen=True, slots=True)
class RecognisedPage:
    """A page's text, how sure its least sure line is, and the place of each line, from the text's start."""

    text: str
    sure: float = 1.0
    boxes: tuple[TextBox, ...] = ()


def recognise(image: NDArray[np.uint8], page: int) -> RecognisedPage:
    """Read the text of a picture.

    Args:
        image: Its pixels, rows by columns by red, green and blue.
        page: The number of the page that it is.
    """
    height, width = image.shape[:2]
    pieces: list[Piece] = []
    sure = 1.0
    for left, top, band in _cut_bands(image):
        found = _load_engine()(band)
        if found.boxes is None or found.txts is None or found.scores is None:
            continue
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            if score < SURE or not text.strip():
                continue
            sure = min(sure, float(score))
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            pieces.append(
                Piece(
                    left + float(x0),
                    height - top - float(y1),
                    left + float(x1),
                    height - top - float(y0),
                    text,
                )
            )
    text = "\n\n".join(
        part if isinstance(part, str) else "\n".join(" | ".join(row) for row in part)
        for part in arrange(pieces)
    )
    return RecognisedPage(text, sure, tuple(_place(pieces, text, page, width, height)))


def _place(pieces: list[Piece], text: str, page: int, width: int, height: int) -> Iterator[TextBox]:
    """Find each line in the text; boxes are shares of the page, from its upper left corner."""
    taken: set[int] = set()
    for piece in pieces:
        at = text.find(piece.text)
        while at in taken:
            at = text.find(piece.text, at + 1)
        if at >= 0:
            taken.add(at)
            edges = (
                piece.left / width,
                1 - piece.top / height,
                piece.right / width,
                1 - piece.bottom / height,
            )
            left, top, right, bottom = (round(min(max(edge, 0.0), 1.0), 4) for edge in edges)
            yield TextBox(at, at + len(piece.text), page, left, top, right, bottom)


def _cut_bands(image: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Cut the drawn part of a picture into bands where it is blank, each with its left and upper place."""
    grey = image.mean(axis=2)
    drawn = np.abs(grey - np.median(grey)) > _INK
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, last = int(rows[0]), int(rows[-1]) + 1
    blank = ~drawn.any(axis=1)
    while top < last:
        bottom = min(top + _BAND, last)
        if bottom < last:
            free = np.flatnonzero(blank[top + _BAND // 2 : bottom])
            bottom = top + _BAND // 2 + int(free[-1]) if len(free) else bottom
        paper = int(np.median(grey))
        pad = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
        band = np.pad(image[top:bottom, left:right], pad, constant_values=paper)
        yield left - _MARGIN, top - _MARGIN, band
        top = bottom


@cache
def _load_engine() -> _Engine:
    """Load the models, once. Raises `ModuleNotFoundError`, or `RuntimeError` for other weights."""
    # OpenVINO would write down an identity of this machine for its statistics, which this process may not
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    import rapidocr  # noqa: PLC0415 - it comes with an extra, and loads OpenCV

    folder = Path(rapidocr.__file__).parent / "models"
    for name, expected in _WEIGHTS.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            raise RuntimeError(f"{name} is not the model that was tested: install rapidocr as pinned")
    engines = {f"{part}.engine_type": rapidocr.EngineType.OPENVINO for part in ("Det", "Cls", "Rec")}
    paths = dict(
        zip(
            ("Det.model_path", "Rec.model_path", "Cls.model_path"),
            map(str, map(folder.joinpath, _WEIGHTS)),
            strict=True,
        )
    )
    threads = {"EngineConfig.openvino.inference_num_threads": _THREADS}
    return cast(
        _Engine, rapidocr.RapidOCR(params={**engines, **paths, **threads, "Global.log_level": "critical"})
    )
