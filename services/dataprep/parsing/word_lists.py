"""Numbers of a DOCX's lists and headings, which its text does not hold: they are counted as Word counts them.

A paragraph, or its style, names a list and a level; the list's definition says how each level is written
(ECMA-376, part 1, 17.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from services.dataprep.parsing.layout import BULLET

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_ROMAN, _MOST_LETTERS = 4999, 26 * 8
_CHAIN = 10
"""So many styles that are based on each other are followed."""


@dataclass(slots=True)
class _Level:
    kind: str
    pattern: str
    start: int


@dataclass(slots=True)
class _List:
    """A definition of lists; `counts` are its levels' last numbers, which all lists of it share."""

    levels: dict[int, _Level] = field(default_factory=dict)
    counts: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


class ListNumbers:
    """Gives the numbers of a document's paragraphs; to be asked in their order."""

    def __init__(self, document: Document) -> None:
        self._lists: dict[str, _List] = {}
        self._overrides: dict[str, dict[int, int]] = {}
        self._levels_of_styles: dict[tuple[str, str], int] = {}
        self._styles = {
            style.get(_WORD + "styleId") or "": style
            for style in document.styles.element.findall(_WORD + "style")
        }
        for part in document.part.package.iter_parts():
            if str(part.partname) == "/word/numbering.xml":
                self._read_lists(part.blob)

    def next_number(self, paragraph: Paragraph) -> str | None:
        """Give what stands before a paragraph, `BULLET` for a bullet; None where it is of no known list."""
        name, level = self._find_list(paragraph._p)
        definition = self._lists.get(name)
        if definition is None or not 0 <= level < _LEVELS:
            return None
        own = definition.levels.get(level)
        if own is None or own.kind == "bullet":
            return BULLET
        self._count(definition, name, level)

        def write(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            of, count = definition.levels.get(at, own), definition.counts[at]
            return _write_number(of.start if count is None else count, of.kind)

        return "" if own.kind == "none" else _PLACE.sub(write, own.pattern).strip()

    def _count(self, definition: _List, name: str, level: int) -> None:
        start = self._overrides.get(name, {}).pop(level, None)  # such a list begins anew, once
        last = definition.counts[level]
        if start is None:
            start = definition.levels[level].start if last is None else last + 1
        definition.counts[level:] = [start, *[None] * (_LEVELS - level - 1)]

    def _find_list(self, paragraph: etree._Element) -> tuple[str, int]:
        """Find the list and level that a paragraph is of, by itself or by its style; no name for none."""
        properties = paragraph.find(_WORD + "pPr")
        if properties is None:
            properties = paragraph
        own = properties.find(_WORD + "numPr")
        level = "" if own is None else _value(own, "ilvl")
        if own is not None and (name := _value(own, "numId")):
            return name, int(level or 0)
        style = _value(properties, "pStyle")
        for _ in range(_CHAIN):
            element = self._styles.get(style)
            if element is None:
                break
            numbering = element.find(f"{_WORD}pPr/{_WORD}numPr")
            if numbering is not None and (name := _value(numbering, "numId")):
                level = level or _value(numbering, "ilvl")
                return name, int(level) if level else self._levels_of_styles.get((name, style), 0)
            style = _value(element, "basedOn")
        return "", 0

    def _read_lists(self, blob: bytes) -> None:
        root = etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True))
        shared: dict[str, _List] = {}
        styles: dict[str, dict[str, int]] = {}
        for element in root.findall(_WORD + "abstractNum"):
            key = element.get(_WORD + "abstractNumId") or ""
            shared[key], styles[key] = _List(), {}
            for level in element.findall(_WORD + "lvl"):
                at = int(level.get(_WORD + "ilvl") or 0)
                shared[key].levels[at] = _read_level(level)
                styles[key][_value(level, "pStyle")] = at
        for element in root.findall(_WORD + "num"):
            name, key = element.get(_WORD + "numId") or "", _value(element, "abstractNumId")
            if key not in shared:
                continue
            self._lists[name] = shared[key]
            self._levels_of_styles |= {(name, style): at for style, at in styles[key].items()}
            for override in element.findall(_WORD + "lvlOverride"):
                if start := _value(override, "startOverride"):
                    at = int(override.get(_WORD + "ilvl") or 0)
                    self._overrides.setdefault(name, {})[at] = int(start)


def _value(element: etree._Element, name: str) -> str:
    found = element.find(_WORD + name)
    return "" if found is None else found.get(_WORD + "val") or ""


def _read_level(level: etree._Element) -> _Level:
    return _Level(
        _value(level, "numFmt") or "decimal", _value(level, "lvlText"), int(_value(level, "start") or 1)
    )


def _write_number(number: int, kind: str) -> str:
    if kind in {"lowerRoman", "upperRoman"} and 0 < number <= _MOST_ROMAN:
        text = _write_roman(number)
        return text.upper() if kind == "upperRoman" else text
    if kind in {"lowerLetter", "upperLetter"} and 0 < number <= _MOST_LETTERS:
        text = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)  # Word: z, aa, bb
        return text.upper() if kind == "upperLetter" else text
    return f"{number:02d}" if kind == "decimalZero" else str(number)


def _write_roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text
