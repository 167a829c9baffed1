"""Markdown: the decoded file, unchanged, with a section at every heading of CommonMark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, Outline, ParsedDocument, Section

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

_LINE_END = re.compile(r"\r\n|\r|\n")


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Decode the file and find its headings."""
    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    front_matter = _FRONT_MATTER.match(text)
    sections = _find_sections(text, front_matter.end() if front_matter else 0)
    return ParsedDocument(text, sections, warnings=decoded.warnings)


def _find_sections(text: str, offset: int) -> tuple[Section, ...]:
    """Find the headings from `offset` on; those inside quotes and lists are left out."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark").disable("inline")  # only headings need their inline parse
    source = text[offset:]
    lines = [offset, *(offset + end.end() for end in _LINE_END.finditer(source)), len(text)]
    inline = MarkdownIt("commonmark")
    outline = Outline()
    tokens = markdown.parse(source)
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            first, after = opening.map
            outline.add(
                int(opening.tag[1:]),
                _strip_markup(inline.parseInline(content.content)),
                start=lines[first],
                body=lines[min(after, len(lines) - 1)],
            )
    return outline.sections


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
