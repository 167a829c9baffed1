"""PPTX: every slide a page, its title the section; with its tables, charts' figures and speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pptx
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.shapes.autoshape import Shape
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from services.dataprep.parsing.document import Limits, ParsedDocument
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import opened, reading

KIND = "PPTX"
_FURNITURE = {PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER}


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    package = opened(data, limits, KIND)
    layout = Layout(limits)
    with reading(KIND):
        presentation = pptx.Presentation(package)
        for number, slide in enumerate(presentation.slides, start=1):
            layout.page()
            _write(slide, number, layout)
    return layout.document()


def _write(slide: Slide, number: int, layout: Layout) -> None:
    title = slide.shapes.title
    if title is not None and title.text_frame.text.strip():
        layout.heading(1, title.text_frame.text)
    else:
        layout.section((f"Slide {number}",))
    for shape in _flat(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _write_shape(shape, layout)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        text = notes.text.strip()
        layout.paragraph(f"Notes: {text}" if text else "")


def _flat(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _flat(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in _FURNITURE):
            yield shape


def _write_shape(shape: BaseShape, layout: Layout) -> None:
    if isinstance(shape, GraphicFrame) and shape.has_table:
        layout.table([cell.text for cell in row.cells] for row in shape.table.rows)
    elif isinstance(shape, GraphicFrame) and shape.has_chart:
        layout.table(_figures(shape))
    elif isinstance(shape, Shape):
        layout.paragraph(shape.text_frame.text.replace("\v", "\n"))


def _figures(frame: GraphicFrame) -> Iterator[list[str]]:
    """A chart as a table: a row for every category, a column for every series."""
    for plot in frame.chart.plots:
        series = list(plot.series)
        yield ["", *(each.name for each in series)]
        values = [list(each.values) for each in series]
        for index, category in enumerate(plot.categories):
            row = [each[index] if index < len(each) else None for each in values]
            yield [str(category), *("" if value is None else f"{value:g}" for value in row)]
