"""reStructuredText: the decoded file, a section at every heading that docutils finds; long tables repeat
their header.

No directive reads a file, a URL or raw markup, and what docutils does not know (Sphinx's) stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, Outline, ParsedDocument, Unparsable
from services.dataprep.parsing.long_tables import SourceTable, cut_long_tables
from services.dataprep.parsing.tables import LEFT

if TYPE_CHECKING:
    from docutils import nodes
    from docutils.parsers.rst import Parser

FORMAT = Format(
    title="reStructuredText",
    position=30,
    suffixes=(".rst",),
    content_types={"text/x-rst": ".rst"},
    read_with="docutils",
    sections="headings",
    left_out="directives that read files or raw markup are not run",
)

_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "warning_stream": False,
    "line_length_limit": 1 << 30,
}
_GRID = re.compile(r"^\+-[-+]*\+[ \t]*\r?\n(?:[|+][^\n]*(?:\n|\Z))+", re.MULTILINE)
_SIMPLE = re.compile(
    r"^=+(?:[ ]+=+)+[ \t]*\r?\n(?:[^\n]*\n){0,5000}?"
    r"=+(?:[ ]+=+)+[ \t]*(?=\r?\n[ \t]*(?:\r?\n|\Z)|\Z)",
    re.MULTILINE,
)
_ROLE = re.compile(r":[\w.:+-]{1,60}:(?=`)")
_TARGET = re.compile(r"\s*<[^<>`\n]{1,300}>(?=`)")
_MARKUP = re.compile(r"``|\*\*|[`*|]_{0,2}|\\(?=\S)")


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Decode the file and find its headings."""
    from docutils import frontend, utils
    from docutils.parsers.rst import Parser

    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    settings = frontend.get_default_settings(Parser)
    for name, value in _SETTINGS.items():
        setattr(settings, name, value)
    document = utils.new_document("", settings)
    try:
        _create_parser().parse(text, document)
        sections = _find_headings(text, document).sections
    except RecursionError:
        raise Unparsable("too_large", "nests its blocks too deeply to be read: flatten it") from None
    parsed = ParsedDocument(text, sections, warnings=decoded.warnings)
    tables = sorted(_find_tables(text, limits.block), key=lambda table: table.start)
    return cut_long_tables(parsed, tables, limits.block) if tables else parsed


def _create_parser() -> Parser:
    """Create a parser that leaves the text within a paragraph alone.

    Only the structure is wanted, and long lines are to cost no time.
    """
    from docutils import nodes
    from docutils.parsers.rst import Parser, states

    class PlainInliner(states.Inliner):
        def init_customizations(self, settings: object) -> None:
            """No patterns to prepare."""

        def parse(
            self, text: str, lineno: int, memo: object, parent: nodes.Element
        ) -> tuple[list[nodes.Node], list[nodes.system_message]]:
            return [nodes.Text(text)], []

    return Parser(inliner=PlainInliner())


def _find_headings(text: str, document: nodes.document) -> Outline:
    from docutils import nodes

    lines = text.replace("\v", " ").replace("\f", " ").splitlines(keepends=True)  # as docutils does
    starts = list(accumulate(map(len, lines), initial=0))
    outline = Outline()
    for section in document.findall(nodes.section):
        rule = section.line  # counted from 1: the line of the rule below the title
        if rule is None or not 2 <= rule <= len(lines):
            continue
        is_overlined = rule >= 3 and lines[rule - 3].strip() == lines[rule - 1].strip()
        title = section.next_node(nodes.title)
        outline.add(
            _depth(section),
            "" if title is None else _strip_markup(title.astext()),
            start=starts[rule - 3 if is_overlined else rule - 2],
            body=starts[rule],
        )
    return outline


def _find_tables(text: str, block: int) -> Iterator[SourceTable]:
    """Find the long tables, of either kind, that are not indented."""
    from docutils.parsers.rst import tableparser
    from docutils.statemachine import StringList

    for kind, pattern in ((tableparser.GridTableParser, _GRID), (tableparser.SimpleTableParser, _SIMPLE)):
        for match in pattern.finditer(text):
            source = match[0].rstrip()
            if len(source) <= block // 2:
                continue
            lines = [line.rstrip() for line in source.splitlines()]
            try:
                _, head, body = kind().parse(StringList(lines, ""))
            except (tableparser.TableMarkupError, AssertionError, IndexError):
                continue
            rows = [_write_row(row) for row in [*head, *body]]
            end = match.start() + len(source)
            yield SourceTable(match.start(), match.start(), end, rows, headers=len(head))


def _write_row(row: Sequence[tuple[int, int, int, Sequence[str]] | None]) -> list[str]:
    """Write the cells; the one on the left goes on in those that it spans."""
    cells: list[str] = []
    across = 0
    for cell in row:
        if cell is None:
            cells.append(LEFT if across else "")
            across = max(0, across - 1)
        else:
            across = cell[1]
            cells.append(" ".join(" ".join(cell[3]).split()))
    return cells


def _depth(section: nodes.section) -> int:
    """Count the sections that the section lies in, itself included."""
    depth, parent = 1, section.parent
    while parent is not None and parent.tagname == section.tagname:
        depth, parent = depth + 1, parent.parent
    return depth


def _strip_markup(title: str) -> str:
    return _MARKUP.sub("", _TARGET.sub("", _ROLE.sub("", title)))
