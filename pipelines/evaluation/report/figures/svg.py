"""A figure as SVG for both widths of the page: deterministic, without styles of its own, and accessible."""

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
    """The figures of a figure. The first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """`reading` says what to see and how it was made; `wide` and `narrow` are SVG elements."""

    id: str
    title: str
    reading: str
    description: str
    wide: Markup
    narrow: Markup
    table: Table


def plot(name: str, title: str, *, reading: str, description: str, draw: Draw, table: Table) -> Plot:
    """Both drawings. `description` is what a screen reader says of them; the table has the rest."""
    with rc_context(rc_style(WIDE)):
        wide = _svg(draw(WIDE), f"{name}-wide", title, description)
    with rc_context(rc_style(NARROW)):
        narrow = _svg(draw(NARROW), f"{name}-narrow", title, description)
    return Plot(name, title, reading, description, wide, narrow, table)


def _svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=metadata)
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - matplotlib wrote it just now
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]
        attributes = dict(_attributes(element, name))
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


def _attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    """Ids made unique in the page; style declarations as attributes, and colours as classes, because the
    page's security policy takes no inline style."""
    for key, value in element.attrib.items():
        key = key.rpartition("}")[2]  # noqa: PLW2901
        if key == "style":
            yield from _declarations(value)
        elif key == "id":
            yield key, f"{name}-{value}"
        elif key == "href":
            yield key, f"#{name}-{value.removeprefix('#')}"
        elif key == "clip-path":
            yield key, value.replace("url(#", f"url(#{name}-")
        else:
            yield key, _short(value)


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    classes = []
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        key, value = (part.strip() for part in declaration.split(":", 1))
        if key in {"fill", "stroke"} and value in CLASSES:
            classes.append(f"{key}-{CLASSES[value]}")
        elif key == "font":
            yield from _font(value)
        elif key not in {"font-family", "stroke-linejoin", "stroke-linecap"}:
            yield key, _short(value)
    if classes:
        yield "class", " ".join(classes)


def _font(value: str) -> Iterator[tuple[str, str]]:
    size = re.search(r"([\d.]+)px", value)
    if size:
        yield "font-size", _short(size[1])
    if re.search(r"\b(bold|[67]00)\b", value):
        yield "font-weight", "600"


def _short(value: str) -> str:
    """Two decimals of a pixel are enough."""
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
