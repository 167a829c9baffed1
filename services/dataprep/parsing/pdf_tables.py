"""Tables by their ruling lines: pure geometry, in points, y upwards as in PDF.

Lines that cross make up a grid; where no line lies between two of its fields they are one cell. Tables
without lines between their columns are not seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

TOLERANCE = 3.0
"""Points by which lines may miss each other; also the thickness of a drawn line."""

MAX_LINES = 400
"""A page with more lines of one direction is a drawing."""

MAX_FIELDS = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line at `at`, the y of a horizontal one or the x of a vertical one, from `start` to `end`."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Boundaries of columns, left to right, and of rows, top to bottom; `cells` says for each field of each
    row where its cell begins."""

    xs: Sequence[float]
    ys: Sequence[float]
    cells: Sequence[Sequence[tuple[int, int]]]

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell at a point; None outside the grid."""
        column = bisect_right(self.xs, x) - 1
        row = bisect_right(self.ys, -y, key=lambda each: -each) - 1
        if 0 <= column < len(self.xs) - 1 and 0 <= row < len(self.ys) - 1:
            return self.cells[row][column]
        return None


def grids(horizontal: Iterable[Line], vertical: Iterable[Line]) -> list[Grid]:
    """The tables that the lines draw, of at least two rows and two columns."""
    across, down = _joined(horizontal), _joined(vertical)
    if not across or not down or len(across) > MAX_LINES or len(down) > MAX_LINES:
        return []
    found = (_grid(*component) for component in _components(across, down))
    return [grid for grid in found if grid is not None]


def _joined(lines: Iterable[Line]) -> list[Line]:
    """Lines that lie on each other, or go on where another ends, in one."""
    joined: list[Line] = []
    for at, group in _clustered(lines):
        current: Line | None = None
        for line in sorted(group, key=lambda each: each.start):
            if current is not None and line.start <= current.end + TOLERANCE:
                current = Line(at, current.start, max(current.end, line.end))
                continue
            if current is not None:
                joined.append(current)
            current = Line(at, line.start, line.end)
        if current is not None:
            joined.append(current)
    return [line for line in joined if line.end - line.start > 2 * TOLERANCE]


def _clustered(lines: Iterable[Line]) -> Iterator[tuple[float, list[Line]]]:
    cluster: list[Line] = []
    for line in sorted(lines, key=lambda each: each.at):
        if cluster and line.at - cluster[-1].at > TOLERANCE:
            yield sum(each.at for each in cluster) / len(cluster), cluster
            cluster = []
        cluster.append(line)
    if cluster:
        yield sum(each.at for each in cluster) / len(cluster), cluster


def _components(across: list[Line], down: list[Line]) -> Iterator[tuple[list[Line], list[Line]]]:
    """Lines that cross each other, directly or by others."""
    parents = list(range(len(across) + len(down)))
    for (i, h), (j, v) in product(enumerate(across), enumerate(down, start=len(across))):
        if _reaches(h, v.at) and _reaches(v, h.at):
            parents[_root(parents, i)] = _root(parents, j)
    for root in sorted({_root(parents, each) for each in range(len(parents))}):
        yield (
            [line for i, line in enumerate(across) if _root(parents, i) == root],
            [line for j, line in enumerate(down, start=len(across)) if _root(parents, j) == root],
        )


def _root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


def _reaches(line: Line, at: float) -> bool:
    return line.start - TOLERANCE <= at <= line.end + TOLERANCE


def _grid(across: list[Line], down: list[Line]) -> Grid | None:
    if not across or not down:
        return None
    # a table may be open at its sides: it then ends where the lines of the other direction do
    xs = _bounds([line.at for line in down], across)
    ys = _bounds([line.at for line in across], down)[::-1]
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 2 or columns < 2 or rows * columns > MAX_FIELDS:
        return None
    parents = list(range(rows * columns))
    for row, column in product(range(rows), range(columns)):
        x, y = (xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2
        here = _root(parents, row * columns + column)
        if column and not _is_ruled(down, xs[column], y):
            _unite(parents, here, row * columns + column - 1)
        if row and not _is_ruled(across, ys[row], x):
            _unite(parents, here, (row - 1) * columns + column)
    roots = [divmod(_root(parents, at), columns) for at in range(rows * columns)]
    cells = [roots[row * columns : (row + 1) * columns] for row in range(rows)]
    return Grid(xs, ys, cells) if len(set(roots)) > 3 else None


def _unite(parents: list[int], one: int, other: int) -> None:
    """The field that comes first stands for the cell."""
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first


def _bounds(ats: Iterable[float], crossing: Sequence[Line]) -> list[float]:
    ends = [min(line.start for line in crossing), max(line.end for line in crossing)]
    bounds: list[float] = []
    for at in sorted([*ats, *ends]):
        if not bounds or at - bounds[-1] > TOLERANCE:
            bounds.append(at)
    return bounds


def _is_ruled(lines: Iterable[Line], at: float, through: float) -> bool:
    return any(abs(line.at - at) <= TOLERANCE and line.start <= through <= line.end for line in lines)
