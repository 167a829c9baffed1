"""Grids by ruling lines: what is a table, and which fields are one cell."""

from __future__ import annotations

import pytest

from services.dataprep.parsing.pdf_tables import MAX_LINES, Grid, Line, find_grids


def lattice(xs: list[float], ys: list[float]) -> tuple[list[Line], list[Line]]:
    return [Line(y, xs[0], xs[-1]) for y in ys], [Line(x, ys[0], ys[-1]) for x in xs]


def heads(grid: Grid) -> int:
    return len({cell for row in grid.cells for cell in row})


def test_a_lattice_is_one_table() -> None:
    [grid] = find_grids(*lattice([0, 100, 200], [0, 20, 40, 60]))
    assert (list(grid.xs), list(grid.ys)) == ([0, 100, 200], [60, 40, 20, 0])
    assert heads(grid) == 6
    assert grid.cell_at(10, 50) == (0, 0)
    assert grid.cell_at(150, 5) == (2, 1)
    assert grid.cell_at(250, 5) is None
    assert grid.cell_at(50, 70) is None


def test_lines_may_be_drawn_in_pieces_doubled_or_a_little_off() -> None:
    across = [Line(y + d, x, x + 50) for y in (0, 20, 40) for x in (0, 51) for d in (0, 1)]
    down = [Line(x, y, y + 19) for x in (0, 50, 100) for y in (0, 20)]
    [grid] = find_grids(across, down)
    assert heads(grid) == 4


def test_two_tables_are_told_apart() -> None:
    one, two = lattice([0, 50, 100], [0, 20, 40]), lattice([0, 50, 100], [100, 120, 140])
    assert len(find_grids(one[0] + two[0], one[1] + two[1])) == 2


def test_fields_without_a_line_between_them_are_one_cell() -> None:
    across = [Line(0, 0, 200), Line(20, 100, 200), Line(40, 0, 200)]  # no line on the left
    down = [Line(x, 0, 40) for x in (0, 100, 150, 200)]
    [grid] = find_grids(across, down)
    assert grid.cell_at(50, 10) == grid.cell_at(50, 30) == (0, 0)
    assert grid.cell_at(120, 10) == (1, 1)


def test_a_table_may_be_open_at_its_sides() -> None:
    [grid] = find_grids([Line(y, 0, 300) for y in (0, 20, 40)], [Line(x, 0, 40) for x in (100, 200)])
    assert heads(grid) == 6


@pytest.mark.parametrize(
    ("across", "down"),
    [
        ([], []),
        lattice([0, 100], [0, 50]),
        lattice([0, 100, 200], [0, 50]),
        lattice([0, 100], [0, 50, 100]),
        ([Line(y, 0, 100) for y in range(0, 100, 20)], []),
        ([Line(y, 0, 5) for y in range(0, 100, 20)], [Line(2, 0, 100)]),
        lattice([0, 100, 200], [10.0 * each for each in range(MAX_LINES + 1)]),
    ],
)
def test_what_is_no_table(across: list[Line], down: list[Line]) -> None:
    assert find_grids(across, down) == []
