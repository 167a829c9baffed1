"""PPTX: every slide a page, its title the section; with its tables, charts' figures and speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import (
    TITLE_LENGTH,
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    list_places,
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import blame_file, open_package
from services.dataprep.parsing.reading_order import Box, sort_boxes
from services.dataprep.parsing.tables import LEFT

if TYPE_CHECKING:
    from pptx.shapes.base import BaseShape
    from pptx.shapes.graphfrm import GraphicFrame
    from pptx.slide import Slide
    from pptx.table import Table

FORMAT = Format(
    title="PPTX",
    position=70,
    suffixes=(".pptx",),
    content_types={"application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx"},
    package_part="ppt/",
    called="a PPTX",
    read_with="python-pptx",
    sections="a slide is a page, its title the section; tables, charts' figures, speaker's notes",
    left_out="slide numbers, dates, footers, SmartArt; hidden slides, which the result names",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the slides in order."""
    import pptx

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    hidden: list[int] = []
    with blame_file(FORMAT.title):
        presentation = pptx.Presentation(package)
        own = presentation.core_properties
        layout.describe(
            document_title=own.title,
            author=own.author,
            subject=own.subject,
            keywords=own.keywords,
            created=own.created,
        )
        for number, slide in enumerate(presentation.slides, start=1):
            layout.start_page()
            if slide._element.get("show") == "0":
                hidden.append(number)
            else:
                _write_slide(slide, number, layout)
        if hidden:
            layout.warn(ParseWarning("hidden_content", f"hidden slides are left out: {list_places(hidden)}"))
    return layout.finish()


def _write_slide(slide: Slide, number: int, layout: Layout) -> None:
    title = slide.shapes.title
    if title is not None and title.text_frame.text.strip():
        layout.add_heading(1, title.text_frame.text)
    else:
        layout.start_section((f"Slide {number}",))
    for shape in _flatten(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _write_shape(shape, layout)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        text = notes.text.strip()
        layout.add_paragraph(f"Notes: {text}" if text else "")


def _flatten(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """Yield the shapes with those inside groups, as people read them.

    Dates, footers and slide numbers are left out.
    """
    from pptx.enum.shapes import PP_PLACEHOLDER
    from pptx.shapes.group import GroupShape

    furniture = {PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER}
    listed = list(shapes)
    for place in sort_boxes([_find_box(shape) for shape in listed]):
        shape = listed[place]
        if isinstance(shape, GroupShape):
            yield from _flatten(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in furniture):
            yield shape


def _find_box(shape: BaseShape) -> Box:
    """Find where a shape is, within its group if it is in one; a placeholder's place may be its layout's."""
    left, top, width, height = (
        float(value or 0) for value in (shape.left, shape.top, shape.width, shape.height)
    )
    return Box(left, top, left + width, top + height)


def _write_shape(shape: BaseShape, layout: Layout) -> None:
    from pptx.shapes.autoshape import Shape
    from pptx.shapes.graphfrm import GraphicFrame

    if isinstance(shape, GraphicFrame) and shape.has_table:
        layout.add_table(_write_rows(shape.table))
    elif isinstance(shape, GraphicFrame) and shape.has_chart:
        layout.add_table(_write_chart(shape))
    elif isinstance(shape, Shape):
        layout.add_paragraph(shape.text_frame.text.replace("\v", "\n"))


def _write_rows(table: Table) -> Iterator[list[str]]:
    """Write each row's cells; one that is merged over rows is written in each, where it is a short label."""
    merged: dict[tuple[int, int], str] = {}
    for number, row in enumerate(table.rows):
        cells = []
        for column, cell in enumerate(row.cells):
            text = cell.text
            if cell.is_merge_origin:
                label = text if len(text) <= TITLE_LENGTH else ""
                for down in range(cell.span_height):
                    for right in range(cell.span_width):
                        merged[number + down, column + right] = LEFT if right else label
            cells.append(text if cell.is_merge_origin else merged.pop((number, column), text))
        yield cells


def _write_chart(frame: GraphicFrame) -> Iterator[list[str]]:
    """Write a chart as a table: a row for every category, a column for every series."""
    for plot in frame.chart.plots:
        all_series = list(plot.series)
        yield ["", *(series.name for series in all_series)]
        columns = [list(series.values) for series in all_series]
        for index, category in enumerate(plot.categories):
            row = [column[index] if index < len(column) else None for column in columns]
            yield [str(category), *("" if value is None else f"{value:g}" for value in row)]
