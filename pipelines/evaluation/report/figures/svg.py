"""Makes SVG of a figure for both widths of the page: deterministic, without styles of its own, accessible."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from pipelines.evaluation.report.figures.style import CLASSES, NARROW, WIDE, Frame, rc_style

Draw = Callable[[Frame], Figure]


@dataclass(frozen=True, slots=True)
class Table:
    """A figure's numbers. The first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure with its numbers.

    `reading` says what to see and how it was made; `wide` and `narrow` are SVG elements.
    """

    id: str
    title: str
    reading: str
    description: str
    wide: Markup
    narrow: Markup
    table: Table


def make_plot(name: str, title: str, *, reading: str, description: str, draw: Draw, table: Table) -> Plot:
    """Draw a figure for both widths.

    Args:
        name: Its id in the page.
        title: Its heading.
        reading: What to see in it, and how it was made.
        description: What a screen reader says; the table has the rest.
        draw: Draws it for a width.
        table: Its numbers.
    """
    with rc_context(rc_style(WIDE)):
        wide = _render_svg(draw(WIDE), f"{name}-wide", title, description)
    with rc_context(rc_style(NARROW)):
        narrow = _render_svg(draw(NARROW), f"{name}-narrow", title, description)
    return Plot(name, title, reading, description, wide, narrow, table)


def _render_svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """A figure as an SVG element with a title and a description."""
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=metadata)
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - matplotlib wrote it just now
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]
        attributes = dict(_page_attributes(element, name))
        element.attrib.clear()
        element.attrib.update(attributes)
        for child in list(element):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                element.remove(child)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": box,
            "role": "img",
            "class": "plot",
            "aria-labelledby": f"{name}-title {name}-text",
        }
    )
    for tag, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'text'}"})
        element.text = text
        root.insert(0, element)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree escaped it


def _page_attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    """An element's attributes as the page takes them.

    Ids are unique in the page; style declarations become attributes, and colours classes, because the page's
    security policy takes no inline style.
    """
    for key, value in element.attrib.items():
        key = key.rpartition("}")[2]  # noqa: PLW2901
        if key == "style":
            yield from _style_attributes(value)
        elif key == "id":
            yield key, f"{name}-{value}"
        elif key == "href":
            yield key, f"#{name}-{value.removeprefix('#')}"
        elif key == "clip-path":
            yield key, value.replace("url(#", f"url(#{name}-")
        else:
            yield key, _shorten(value)


def _style_attributes(style: str) -> Iterator[tuple[str, str]]:
    classes = []
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        key, value = (part.strip() for part in declaration.split(":", 1))
        if key in {"fill", "stroke"} and value in CLASSES:
            classes.append(f"{key}-{CLASSES[value]}")
        elif key == "font":
            yield from _font_attributes(value)
        elif key not in {"font-family", "stroke-linejoin", "stroke-linecap"}:
            yield key, _shorten(value)
    if classes:
        yield "class", " ".join(classes)


def _font_attributes(value: str) -> Iterator[tuple[str, str]]:
    size = re.search(r"([\d.]+)px", value)
    if size:
        yield "font-size", _shorten(size[1])
    if re.search(r"\b(bold|[67]00)\b", value):
        yield "font-weight", "600"


def _shorten(value: str) -> str:
    """Cut numbers to two decimals: of a pixel they are enough."""
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
