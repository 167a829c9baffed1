"""Markdown: the decoded file, a section at every heading of CommonMark; long tables repeat their header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import (
    Format,
    Limits,
    Outline,
    ParsedDocument,
    Section,
    clean_properties,
)
from services.dataprep.parsing.long_tables import SourceTable, cut_long_tables

if TYPE_CHECKING:
    from markdown_it.token import Token

FORMAT = Format(
    title="Markdown",
    position=20,
    suffixes=(".md", ".markdown"),
    content_types={"text/markdown": ".md"},
    read_with="markdown-it-py",
    sections="headings",
)

_FRONT_MATTER = re.compile(
    r"---[ \t]*(?>\r\n|\r|\n)[\w-]+[ \t]*:[^\r\n]*(?>\r\n|\r|\n)"
    r"(?:[^\r\n]*(?>\r\n|\r|\n))*?(?:---|\.\.\.)[ \t]*(?:(?>\r\n|\r|\n)|\Z)"
)
"""YAML between two rules at the very top, which CommonMark would take for a heading."""

_ENTRY = re.compile(r"([\w-]+)[ \t]*:[ \t]*(.*?)[ \t]*$")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*?)[ \t]*$")
_OWN_FIELDS = {"title": "document_title", "section": "document_section", "page": "document_page"}
"""What a passage calls otherwise."""

_BAR = re.compile(r"(?<!\\)\|")
_LINE_END = re.compile(r"\r\n|\r|\n")


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Decode the file and find its headings."""
    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    front_matter = _FRONT_MATTER.match(text)
    sections, tables = _find_parts(text, front_matter.end() if front_matter else 0)
    own = read_front_matter(front_matter[0]) if front_matter else {}
    document = ParsedDocument(text, sections, warnings=decoded.warnings, metadata=clean_properties(own))
    return cut_long_tables(document, tables, limits.block) if tables else document


def read_front_matter(text: str) -> dict[str, str | list[str]]:
    """Read the plain entries of front matter: texts, and lists in brackets or with dashes; nothing nested."""
    found: dict[str, str | list[str]] = {}
    listed = ""
    for line in text.splitlines()[1:-1]:
        entry, item = _ENTRY.match(line), _ITEM.match(line)
        if entry:
            name, value = entry.groups()
            name = _OWN_FIELDS.get(name.lower(), name.lower())
            listed = "" if value else name
            if value.startswith("[") and value.endswith("]"):
                found[name] = [part.strip().strip("\"'") for part in value[1:-1].split(",")]
            elif value and value[0] not in "{|>&*!":
                found[name] = value.strip("\"'")
        elif item and listed:
            found[listed] = [*found.get(listed, []), item[1].strip("\"'")]
        elif line[:1].strip():
            listed = ""
    return {name: value for name, value in found.items() if name not in {"warnings", "boxes", "document_id"}}


def _find_parts(text: str, offset: int) -> tuple[tuple[Section, ...], list[SourceTable]]:
    """Find headings and tables from `offset` on; those inside quotes and lists are left out."""
    from markdown_it import MarkdownIt

    markdown = (
        # only headings need their inline parse
        MarkdownIt("commonmark").enable("table").disable("inline")
    )
    source = text[offset:]
    lines = [offset, *(offset + end.end() for end in _LINE_END.finditer(source)), len(text)]
    inline = MarkdownIt("commonmark")
    outline = Outline()
    tables: list[SourceTable] = []
    tokens = markdown.parse(source)
    for opening, content in pairwise(tokens):
        if opening.type == "table_open" and opening.level == 0 and opening.map:
            first, after = opening.map
            tables.append(_read_table(text, [lines[number] for number in range(first, after)], lines[after]))
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            first, after = opening.map
            outline.add(
                int(opening.tag[1:]),
                _strip_markup(inline.parseInline(content.content)),
                start=lines[first],
                body=lines[min(after, len(lines) - 1)],
            )
    return outline.sections, tables


def _read_table(text: str, starts: Sequence[int], end: int) -> SourceTable:
    """Read the rows of a table whose lines begin at these places; the second line only separates."""
    rows = [
        _split_row(text[start:until])
        for number, (start, until) in enumerate(pairwise([*starts, end]))
        if number != 1
    ]
    last = starts[0] + len(text[starts[0] : end].rstrip())
    return SourceTable(starts[0], starts[2] if len(starts) > 2 else last, last, rows, headers=1)


def _split_row(line: str) -> list[str]:
    """Split a row into its cells; a bar behind a backslash is text."""
    line = line.strip()
    line = line.removeprefix("|")
    cells = [cell.strip().replace("\\|", "|") for cell in _BAR.split(line)]
    return cells[:-1] if cells and not cells[-1] and line.endswith("|") else cells


def _strip_markup(tokens: Sequence[Token]) -> str:
    """Give the text without its markup; of an image, its description."""
    parts: list[str] = []
    for token in tokens:
        if token.type in {"inline", "image"}:
            parts.append(_strip_markup(token.children or []))
        elif token.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif token.type != "html_inline":
            parts.append(token.content)
    return "".join(parts)
