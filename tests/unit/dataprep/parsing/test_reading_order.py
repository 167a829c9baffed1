"""Boxes are read from the top, and side by side from the left, whatever order they were drawn in."""

from __future__ import annotations

import pptx
import pytest
from pptx.util import Inches

from services.dataprep.parsing.reading_order import Box, sort_boxes
from services.dataprep.parsing.registry import parse
from tests import samples


@pytest.mark.parametrize(
    ("boxes", "order"),
    [
        ([(0, 20, 10, 30), (0, 0, 10, 10), (0, 10, 10, 20)], [1, 2, 0]),
        # two columns below a title, the left one whole
        (
            [(12, 10, 22, 25), (0, 5, 10, 18), (0, 0, 22, 4), (12, 26, 22, 40), (0, 20, 10, 40)],
            [2, 1, 4, 0, 3],
        ),
        # cards in rows
        ([(12, 12, 22, 22), (12, 0, 22, 10), (0, 12, 10, 22), (0, 0, 10, 10)], [3, 1, 2, 0]),
        # slightly over each other
        ([(0, 9.5, 10, 19), (0, 0, 10, 10)], [1, 0]),
        ([(0, 0, 10, 10), (5, 5, 15, 15)], [0, 1]),
        ([], []),
    ],
)
def test_boxes_are_sorted(boxes: list[tuple[float, float, float, float]], order: list[int]) -> None:
    assert sort_boxes([Box(*box) for box in boxes]) == order


def test_shapes_come_as_they_stand_on_the_slide_also_within_groups() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    for text, top in [("Third", 5), ("First", 2), ("Second", 3.5)]:
        box = slide.shapes.add_textbox(Inches(1), Inches(top), Inches(3), Inches(1))
        box.text_frame.text = text
    group = slide.shapes.add_group_shape()
    for text, top in [("lower", 3.1), ("upper", 2)]:
        box = group.shapes.add_textbox(Inches(6), Inches(top), Inches(2), Inches(1))
        box.text_frame.text = text
    slide.shapes.title.text = "Plan"
    assert parse("a.pptx", samples._saved(presentation)).text.split("\n\n") == [
        *("Plan", "First", "Second", "upper", "lower", "Third")
    ]
