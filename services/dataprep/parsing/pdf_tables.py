"""Tables of a PDF page by their ruling lines: geometry in points, y upwards as in PDF.

`PageLines` reads the straight lines that a page draws. Lines that cross make up a grid; where no line lies
between two of its fields they are one cell. Tables without lines between their columns are not seen.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pypdfium2 as pdfium
from pypdfium2 import raw

TOLERANCE = 3.0
"""Points by which lines may miss each other; also the thickness of a drawn line."""

MAX_LINES = 400
"""A page with more lines of one direction is a drawing."""

MAX_FIELDS = 20_000
MAX_OBJECTS = 20_000
MAX_POINTS = 50_000
_DEPTH = 4
_STRAIGHT = 1.0

Matrix = tuple[float, float, float, float, float, float]
Point = tuple[float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line at `at`, the y of a horizontal one or the x of a vertical one, from `start` to `end`."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Boundaries of columns, left to right, and of rows, top to bottom.

    `cells` says for each field of each row where its cell begins.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    cells: Sequence[Sequence[tuple[int, int]]]

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Give the row and column of the cell at a point; None outside the grid."""
        column = bisect_right(self.xs, x) - 1
        row = bisect_right(self.ys, -y, key=lambda boundary: -boundary) - 1
        if 0 <= column < len(self.xs) - 1 and 0 <= row < len(self.ys) - 1:
            return self.cells[row][column]
        return None


def find_grids(horizontal: Iterable[Line], vertical: Iterable[Line]) -> list[Grid]:
    """Find the tables that the lines draw, of at least two rows and two columns."""
    across, down = _join_lines(horizontal), _join_lines(vertical)
    if not across or not down or len(across) > MAX_LINES or len(down) > MAX_LINES:
        return []
    grids = (_build_grid(*component) for component in _find_components(across, down))
    return [grid for grid in grids if grid is not None]


def _join_lines(lines: Iterable[Line]) -> list[Line]:
    """Make one line of those that lie on each other, or go on where another ends."""
    joined: list[Line] = []
    for at, cluster in _cluster_lines(lines):
        current: Line | None = None
        for line in sorted(cluster, key=lambda line: line.start):
            if current is not None and line.start <= current.end + TOLERANCE:
                current = Line(at, current.start, max(current.end, line.end))
                continue
            if current is not None:
                joined.append(current)
            current = Line(at, line.start, line.end)
        if current is not None:
            joined.append(current)
    return [line for line in joined if line.end - line.start > 2 * TOLERANCE]


def _cluster_lines(lines: Iterable[Line]) -> Iterator[tuple[float, list[Line]]]:
    """Group lines of about the same height or abscissa, with its mean."""
    cluster: list[Line] = []
    for line in sorted(lines, key=lambda line: line.at):
        if cluster and line.at - cluster[-1].at > TOLERANCE:
            yield sum(member.at for member in cluster) / len(cluster), cluster
            cluster = []
        cluster.append(line)
    if cluster:
        yield sum(member.at for member in cluster) / len(cluster), cluster


def _find_components(across: list[Line], down: list[Line]) -> Iterator[tuple[list[Line], list[Line]]]:
    """Group lines that cross each other, directly or by others."""
    parents = list(range(len(across) + len(down)))
    for (i, h), (j, v) in product(enumerate(across), enumerate(down, start=len(across))):
        if _reaches(h, v.at) and _reaches(v, h.at):
            parents[_find_root(parents, i)] = _find_root(parents, j)
    for root in sorted({_find_root(parents, at) for at in range(len(parents))}):
        yield (
            [line for i, line in enumerate(across) if _find_root(parents, i) == root],
            [line for j, line in enumerate(down, start=len(across)) if _find_root(parents, j) == root],
        )


def _find_root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


def _reaches(line: Line, at: float) -> bool:
    return line.start - TOLERANCE <= at <= line.end + TOLERANCE


def _build_grid(across: list[Line], down: list[Line]) -> Grid | None:
    if not across or not down:
        return None
    # a table may be open at its sides: it then ends where the lines of the other direction do
    xs = _find_bounds([line.at for line in down], across)
    ys = _find_bounds([line.at for line in across], down)[::-1]
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 2 or columns < 2 or rows * columns > MAX_FIELDS:
        return None
    parents = list(range(rows * columns))
    for row, column in product(range(rows), range(columns)):
        x, y = (xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2
        here = _find_root(parents, row * columns + column)
        if column and not _is_ruled(down, xs[column], y):
            _unite(parents, here, row * columns + column - 1)
        if row and not _is_ruled(across, ys[row], x):
            _unite(parents, here, (row - 1) * columns + column)
    roots = [divmod(_find_root(parents, at), columns) for at in range(rows * columns)]
    cells = [roots[row * columns : (row + 1) * columns] for row in range(rows)]
    return Grid(xs, ys, cells) if len(set(roots)) > 3 else None


def _unite(parents: list[int], one: int, other: int) -> None:
    """Put two fields into one cell; the field that comes first stands for it."""
    first, second = sorted((_find_root(parents, one), _find_root(parents, other)))
    parents[second] = first


def _find_bounds(ats: Iterable[float], crossing: Sequence[Line]) -> list[float]:
    ends = [min(line.start for line in crossing), max(line.end for line in crossing)]
    bounds: list[float] = []
    for at in sorted([*ats, *ends]):
        if not bounds or at - bounds[-1] > TOLERANCE:
            bounds.append(at)
    return bounds


def _is_ruled(lines: Iterable[Line], at: float, through: float) -> bool:
    return any(abs(line.at - at) <= TOLERANCE and line.start <= through <= line.end for line in lines)


class PageLines:
    """The straight lines of a page, `across` and `down`; none where it draws more than a table needs."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self.across: list[Line] = []
        self.down: list[Line] = []
        self._objects = 0
        self._points = 0
        self._read_objects(page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject, _IDENTITY, 0)
        if self._objects > MAX_OBJECTS or self._points > MAX_POINTS:
            self.across, self.down = [], []

    def _read_objects(self, holder: object, count: object, get: object, matrix: Matrix, depth: int) -> None:
        for index in range(count(holder)):  # type: ignore[operator]
            self._objects += 1
            if self._objects > MAX_OBJECTS or self._points > MAX_POINTS:
                return
            page_object = get(holder, index)  # type: ignore[operator]
            kind = raw.FPDFPageObj_GetType(page_object)
            if kind == raw.FPDF_PAGEOBJ_PATH:
                self._read_path(page_object, _multiply(_matrix_of(page_object), matrix))
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _DEPTH:
                inner = _multiply(_matrix_of(page_object), matrix)
                self._read_objects(
                    page_object, raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject, inner, depth + 1
                )

    def _read_path(self, path: object, matrix: Matrix) -> None:
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        if not raw.FPDFPath_GetDrawMode(path, fill, stroke) or not (fill.value or stroke.value):
            return
        for (x0, y0), (x1, y1) in self._trace_edges(path, matrix):
            if abs(y0 - y1) <= _STRAIGHT:
                self.across.append(Line((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
            elif abs(x0 - x1) <= _STRAIGHT:
                self.down.append(Line((x0 + x1) / 2, min(y0, y1), max(y0, y1)))

    def _trace_edges(self, path: object, matrix: Matrix) -> Iterator[tuple[Point, Point]]:
        start = current = (0.0, 0.0)
        x, y = ctypes.c_float(), ctypes.c_float()
        for index in range(raw.FPDFPath_CountSegments(path)):
            self._points += 1
            if self._points > MAX_POINTS:
                return
            segment = raw.FPDFPath_GetPathSegment(path, index)
            if not raw.FPDFPathSegment_GetPoint(segment, x, y):
                continue
            kind, point = raw.FPDFPathSegment_GetType(segment), _transform((x.value, y.value), matrix)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                yield current, point
            current = point
            if raw.FPDFPathSegment_GetClose(segment):
                yield current, start
                current = start


def _matrix_of(page_object: object) -> Matrix:
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(page_object, matrix):
        return _IDENTITY
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _multiply(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _transform(point: Point, matrix: Matrix) -> Point:
    x, y = point
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f
