"""PDF pages are read as people read them, whatever order their texts were drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dataprep.parsing.page_layout import Piece, arrange
from services.dataprep.parsing.registry import parse
from services.dataprep.parsing.running_lines import drop_running_lines
from tests.placed_pdf import Page, Text, lines, place, text_field, tick_box
from tests.soak import rounds

LEFT = [
    "The harbour authority inspects every",
    "crane twice a year and seals those",
    "that fail until they are repaired.",
    "Cables are changed after two years.",
]
RIGHT = [
    "Visitors register at gate four and",
    "receive a yellow badge for one day.",
    "It must be returned before nine.",
    "Lost badges cost fifteen euros.",
]


def read(*texts: Text, turned: int = 0) -> str:
    return parse("a.pdf", place(Page(texts, turned=turned))).text


def rows(*cells: Sequence[object], xs: Sequence[float] = (50, 250, 400), pitch: float = 18) -> list[Text]:
    """Cells at the abscissas of their columns; an empty one is not drawn."""
    return [
        Text(x, 700 - pitch * at, str(cell))
        for at, row in enumerate(cells)
        for x, cell in zip(xs, row, strict=False)
        if cell != ""
    ]


@pytest.mark.parametrize("offset", [0, 5, 9])
def test_columns_are_read_one_after_the_other(offset: int) -> None:
    title = Text(150, 760, "A title across both of the columns here", 18)
    end = Text(50, 600, "A last line that goes across the whole width of the page and both of its columns.")
    left, right = lines(50, 720, LEFT), lines(320, 720 - offset, RIGHT)
    expected = "\n".join([title.text, *LEFT, *RIGHT, end.text])
    by_row = [text for pair in zip(left, right, strict=True) for text in pair]
    for drawn in ([title, *by_row, end], [end, *right, *left, title], [title, *left, *right, end]):
        assert read(*drawn) == expected


def test_columns_below_a_text_of_full_width_and_three_of_them() -> None:
    wide = [
        "This is a text of full width that goes from the left to the right margin of the page it stands on,",
        "and has a short end.",
    ]
    assert read(*lines(50, 760, wide), *lines(320, 700, RIGHT), *lines(50, 700, LEFT)) == "\n".join(
        [*wide, *LEFT, *RIGHT]
    )
    columns = [[f"{word} one two three four" for word in group] for group in ("abc", "def", "ghi")]
    drawn = [text for at, group in enumerate(columns) for text in lines(40 + 190 * at, 700, group)]
    by_row = sorted(drawn, key=lambda text: (-text.y, text.x))
    assert read(*by_row) == "\n".join(line for group in columns for line in group)


def test_a_page_that_was_drawn_upwards() -> None:
    assert read(*lines(50, 700, LEFT)[::-1]) == "\n".join(LEFT)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_text_is_read_upright(degrees: int) -> None:
    steps = {90: (14, 0), 180: (0, 14), 270: (-14, 0)}[degrees]
    drawn = [
        Text(300 + steps[0] * at, 400 + steps[1] * at, line, 11, degrees) for at, line in enumerate(LEFT)
    ]
    assert read(*drawn, turned=degrees) == "\n".join(LEFT)
    assert read(*drawn[::-1]) == "\n".join(LEFT)


def test_text_at_the_margin_and_across_the_page_comes_last() -> None:
    stamped = read(
        Text(30, 300, "Turned at the margin", 10, 90), *lines(100, 700, LEFT), Text(200, 300, "DRAFT", 60, 45)
    )
    assert stamped == "\n".join(LEFT) + "\n\nTurned at the margin\n\nDRAFT"


def test_a_table_without_lines_keeps_its_header_and_its_empty_cells() -> None:
    drawn = rows(
        ("Product", "Months", "Deductible"), ("Pump A", 24, 100), ("Valve C", 12, ""), ("Motor D", "", 80)
    )
    text = read(
        Text(50, 730, "Warranty periods"), *drawn, Text(50, 560, "All periods begin with the delivery.")
    )
    assert text == (
        "Warranty periods\n\n| Product | Months | Deductible |\n|---|---|---|\n| Pump A | 24 | 100 |\n"
        "| Valve C | 12 |\n| Motor D |  | 80 |\n\nAll periods begin with the delivery."
    )


def test_numbers_may_stand_at_the_right_and_cells_may_go_on() -> None:
    numbers = [
        ("Berth", "Summer", "Winter"),
        ("Boats", "1,200.00", "800.00"),
        ("Ferries", "12,000.00", "9,500.00"),
    ]
    drawn = [
        Text(x - (5.5 * len(cell) if x > 50 else 0), 700 - 18 * at, cell)
        for at, row in enumerate(numbers)
        for x, cell in zip((50, 300, 400), row, strict=True)
    ]
    assert "| Ferries | 12,000.00 | 9,500.00 |" in read(*drawn)
    cells = [
        (720, "Code", "Description", "Limit"),
        *((696, "A1", "Harbour dues for small", "20 m"), (683, "", "boats and dinghies", "")),
        *((659, "B2", "Tugs and pilots who", "45 m"), (646, "", "come from abroad", "")),
    ]
    drawn = [
        Text(x, y, cell) for y, *row in cells for x, cell in zip((50, 120, 350), row, strict=True) if cell
    ]
    assert "| A1 | Harbour dues for small boats and dinghies | 20 m |\n| B2 | Tugs" in read(*drawn)


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ([("1.", "Inspect the pump"), ("2.", "Close the valve"), ("3.", "Record it")], "2. Close the valve"),
        ([("Name:", "Lark"), ("Draught:", "4.35"), ("Flag:", "NO")], "Draught: 4.35"),
        ([("•", "small boats"), ("•", "ferries"), ("•", "barges")], "• ferries"),
    ],
)
def test_lists_and_names_of_fields_are_no_tables(cells: list[tuple[str, str]], text: str) -> None:
    assert text in read(*rows(*cells, xs=(50, 130))).split("\n")


def test_form_values_stand_behind_what_is_printed_beside_them() -> None:
    page = Page(
        [
            Text(50, 700, "Name of vessel:"),
            Text(320, 700, "Flag"),
            Text(50, 650, "Yes"),
            Text(120, 650, "No"),
        ],
        [
            text_field("180 690 310 712", "v", "Northern Lark"),
            text_field("380 690 450 712", "f", "NO"),
            tick_box("30 648 45 663", "y", ticked=False),
            tick_box("100 648 115 663", "n", ticked=True),
            text_field("300 500 400 520", "remark", "alone on its line"),
            text_field("300 460 400 480", "p", "secret", "/Ff 8192"),
            text_field("300 430 400 450", "h", "hidden", "/F 2"),
            "/Subtype/Text/Rect[10 10 20 20]/Contents(Check this\nfigure.)",
            "/Subtype/Link/Rect[10 10 20 20]/Contents(a link)",
        ],
    )
    assert parse("a.pdf", place(page)).text == (
        "Name of vessel: Northern Lark Flag NO\n[ ] Yes [x] No\nremark: alone on its line\n\n"
        "Note: Check this figure."
    )


def test_running_headers_and_page_numbers_are_kept_once() -> None:
    bodies = [f"Text of page {word} which says something." for word in ("one", "two", "three", "four")]
    pages = [
        Page([Text(50, 780, "Harbour rules 2026"), Text(50, 700, body), Text(250, 20, f"Page {at} of 4")])
        for at, body in enumerate(bodies, start=1)
    ]
    parsed = parse("a.pdf", place(*pages))
    assert parsed.text == "\n\n".join([f"Harbour rules 2026\n{bodies[0]}\nPage 1 of 4", *bodies[1:]])
    assert parsed.warnings == ()


def test_lines_that_differ_in_more_than_the_page_are_kept() -> None:
    invoices = [
        [f"Invoice {number}\nText {word}\nend of {word}"] for number, word in ((3, "a"), (10, "b"), (17, "c"))
    ]
    assert drop_running_lines(invoices) == invoices
    two = [["Same\na"], ["Same\nb"]]
    assert drop_running_lines(two) == two
    odd = [[f"{'left' if at % 2 else 'right'} page\nText {'abcdef'[at]}"] for at in range(6)]
    assert [parts[0].split("\n")[0] for parts in drop_running_lines(odd)][2:] == [
        f"Text {word}" for word in "cdef"
    ]
    tables = [[[["Same", "x"]]] for _ in range(4)]
    assert drop_running_lines(tables) == tables


boxes = st.tuples(
    st.integers(0, 500), st.integers(0, 700), st.integers(5, 300), st.integers(5, 30), st.sampled_from("abc")
)


@given(st.lists(boxes, max_size=40))
@settings(max_examples=rounds(60, 3000), deadline=None)
def test_no_piece_is_lost_or_written_twice(places: list[tuple[int, int, int, int, str]]) -> None:
    pieces = [
        Piece(x, y, x + width, y + height, f"{letter}{at}")
        for at, (x, y, width, height, letter) in enumerate(places)
    ]
    words: list[str] = []
    for part in arrange(pieces):
        words += (
            part.split()
            if isinstance(part, str)
            else [word for row in part for cell in row for word in cell.split()]
        )
    assert sorted(words) == sorted(piece.text for piece in pieces)
