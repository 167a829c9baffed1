"""The straight lines that a PDF page draws, by pdfium's page objects."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.dataprep.parsing.pdf_tables import Line

MAX_OBJECTS = 20_000
MAX_POINTS = 50_000
_DEPTH = 4
_STRAIGHT = 1.0

Matrix = tuple[float, float, float, float, float, float]
Point = tuple[float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class Drawing:
    """A page's lines, `across` and `down`; none where it draws more than a table needs."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self.across: list[Line] = []
        self.down: list[Line] = []
        self._objects = 0
        self._points = 0
        self._look(page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject, _IDENTITY, 0)
        if self._objects > MAX_OBJECTS or self._points > MAX_POINTS:
            self.across, self.down = [], []

    def _look(self, holder: object, count: object, get: object, matrix: Matrix, depth: int) -> None:
        for index in range(count(holder)):  # type: ignore[operator]
            self._objects += 1
            if self._objects > MAX_OBJECTS or self._points > MAX_POINTS:
                return
            each = get(holder, index)  # type: ignore[operator]
            kind = raw.FPDFPageObj_GetType(each)
            if kind == raw.FPDF_PAGEOBJ_PATH:
                self._trace(each, _product(_matrix(each), matrix))
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _DEPTH:
                inner = _product(_matrix(each), matrix)
                self._look(each, raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject, inner, depth + 1)

    def _trace(self, path: object, matrix: Matrix) -> None:
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        if not raw.FPDFPath_GetDrawMode(path, fill, stroke) or not (fill.value or stroke.value):
            return
        for (x0, y0), (x1, y1) in self._edges(path, matrix):
            if abs(y0 - y1) <= _STRAIGHT:
                self.across.append(Line((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
            elif abs(x0 - x1) <= _STRAIGHT:
                self.down.append(Line((x0 + x1) / 2, min(y0, y1), max(y0, y1)))

    def _edges(self, path: object, matrix: Matrix) -> Iterator[tuple[Point, Point]]:
        start = current = (0.0, 0.0)
        x, y = ctypes.c_float(), ctypes.c_float()
        for index in range(raw.FPDFPath_CountSegments(path)):
            self._points += 1
            if self._points > MAX_POINTS:
                return
            segment = raw.FPDFPath_GetPathSegment(path, index)
            if not raw.FPDFPathSegment_GetPoint(segment, x, y):
                continue
            kind, point = raw.FPDFPathSegment_GetType(segment), _moved((x.value, y.value), matrix)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                yield current, point
            current = point
            if raw.FPDFPathSegment_GetClose(segment):
                yield current, start
                current = start


def _matrix(each: object) -> Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(each, found):
        return _IDENTITY
    return found.a, found.b, found.c, found.d, found.e, found.f


def _product(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _moved(point: Point, matrix: Matrix) -> Point:
    x, y = point
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f
