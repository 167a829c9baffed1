"""HTML: the main text as paragraphs, with a section at every heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import (
    Format,
    Limits,
    Outline,
    ParsedDocument,
    ParseWarning,
    Unparsable,
)
from services.dataprep.parsing.html_tables import HtmlTable, is_hidden, read_table
from services.dataprep.parsing.long_tables import SourceTable, cut_long_tables
from services.dataprep.parsing.tables import Block, split_table

if TYPE_CHECKING:
    from lxml import etree

FORMAT = Format(
    title="HTML",
    position=40,
    suffixes=(".html", ".htm", ".xhtml"),
    content_types={"text/html": ".html", "application/xhtml+xml": ".html"},
    read_with="lxml",
    sections="headings",
    left_out="menus, scripts, what is hidden, what stands beside the main text",
)


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DROPPED = _tags(
    "script style template noscript nav footer svg math iframe object canvas audio video button select "
    "textarea input dialog head"
)
_DROPPED_ROLES = _tags("navigation search banner contentinfo menu")
_PARAGRAPHS = _tags(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure "
    "h1 h2 h3 h4 h5 h6 header hr main ol p pre section summary table ul"
)
_LINES = _tags("br li tr caption")
_CELLS = _tags("td th")

MAIN_SHARE = 0.2
"""A `main` with less of what the page shows than this hides the page's text."""

ARTICLE_SHARE = 0.5
"""A lone `article` with less of the body's text than this is a teaser or a comment, not the page."""

_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
_CHARSET_WITHIN = 4096
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_WINDOWS = {"iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"}
"""Encodings that browsers read as windows-1252 (WHATWG encoding standard)."""


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Write the page's main text."""
    from lxml import etree

    decoded = decode(data, named=limits.encoding, declared=_find_charset(data))
    source = _XML_DECLARATION.sub("", decoded.text, count=1)
    parser = etree.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=True, no_network=True)
    try:
        root = etree.fromstring(source, parser)
    except etree.LxmlError:
        root = None
    if root is None:
        raise Unparsable("invalid", "holds no HTML that can be read")
    if parser.error_log.filter_from_fatals():  # libxml2 stops there and would lose the rest silently
        raise Unparsable("invalid", "nests its elements too deeply to be read whole: simplify it")
    scope = _find_main(root)
    writer = _Writer(limits.block)
    if scope.find(".//h1") is None:
        writer.write_title(_find_title(root, scope))
    _write(scope, writer)
    warnings = (*decoded.warnings, *_warn_of_rest(root, scope))
    document = ParsedDocument(writer.text, writer.outline.sections, warnings=warnings)
    return cut_long_tables(document, writer.tables, limits.block) if writer.tables else document


def _find_charset(data: bytes) -> str | None:
    """Find the encoding that the page says it has."""
    match = _CHARSET.search(data[:_CHARSET_WITHIN])
    name = match[1].decode("ascii").lower() if match else ""
    if not name or name.startswith("utf-16"):  # what can be read as ASCII is not UTF-16
        return None
    return "windows-1252" if name in _WINDOWS else name


def _find_main(root: etree._Element) -> etree._Element:
    """Find the element with the page's own text: `main`, a lone `article` with most of it, or the body."""
    body = root.find(".//body")
    body = root if body is None else body
    for path in (".//main", ".//*[@role='main']"):
        main = root.find(path)
        if main is not None and _count_shown(main) > MAIN_SHARE * _count_shown(body):
            return main
    articles = body.findall(".//article")
    if len(articles) == 1 and _count_letters(articles[0]) > ARTICLE_SHARE * _count_letters(body):
        return articles[0]
    return body


def _warn_of_rest(root: etree._Element, scope: etree._Element) -> Iterator[ParseWarning]:
    """Warn where less than half of the page's text is what counts as its main text."""
    body = root.find(".//body")
    if body is None or scope is body:
        return
    share = _count_shown(scope) / max(1, _count_shown(body))
    if share < ARTICLE_SHARE:
        yield ParseWarning(
            "left_out", f"only its main part was read, which holds {share:.0%} of the page's text"
        )


def _count_shown(element: etree._Element) -> int:
    """Count the letters below an element, but those of menus, scripts and what is hidden."""
    writer = _Writer(1 << 30)
    _write(element, writer)
    return len(writer.text)


def _count_letters(element: etree._Element) -> int:
    return sum(len(text.strip()) for text in element.itertext())


def _find_title(root: etree._Element, scope: etree._Element) -> str:
    """Find the page's title, for want of a first heading; empty where the headings begin by saying it."""
    title = " ".join((root.findtext(".//head/title") or "").split())
    first = next((element for element in scope.iter(*_HEADINGS)), None)
    heading = "" if first is None else " ".join("".join(first.itertext()).split())
    return "" if heading and heading in title else title


def _write(scope: etree._Element, writer: _Writer) -> None:
    from lxml import etree

    walker = etree.iterwalk(scope, events=("start", "end"))
    dropped: etree._Element | None = None
    for event, element in walker:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if element is not scope and _is_dropped(element, tag):
                dropped = element
                walker.skip_subtree()
                continue
            if tag == "table" and (table := read_table(element)) and table.is_laid_out(writer.block):
                writer.write_table(table)
                dropped = element
                walker.skip_subtree()
                continue
            writer.start(tag)
            writer.write(element.text or "")
            continue
        if element is dropped:
            dropped = None
        else:
            writer.end(tag)
        if element is not scope:
            writer.write(element.tail or "")


def _is_dropped(element: etree._Element, tag: str) -> bool:
    return not tag or tag in _DROPPED or is_hidden(element) or element.get("role") in _DROPPED_ROLES


class _Writer:
    """Writes text with white space as a browser shows it; a break waits for something to separate."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.outline = Outline()
        self.tables: list[SourceTable] = []
        self._parts: list[str] = []
        self._length = 0
        self._breaks = 0
        self._space = False
        self._bullet = ""
        self._preformatted = 0
        self._heading: int | None = None
        self._heading_parts = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def write_title(self, text: str) -> None:
        """Write the page's title in place of its missing first heading."""
        self.start("h1")
        self.write(text)
        self.end("h1")

    def write_table(self, table: HtmlTable) -> None:
        """Write a table as rows with a header, whatever its length: it is cut later."""
        for block in [Block(0, 0, table.caption), *split_table(table.rows, 1 << 30, headers=table.headers)]:
            if block.text:
                self._break(2)
                self._append(block.text)
            if block.head:
                start = self._length - len(block.text)
                rows = table.rows
                self.tables.append(
                    SourceTable(start, start + block.head, self._length, rows, headers=table.headers)
                )
        self._break(2)

    def start(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)
        if tag in _CELLS:
            self._separate_cell()
        elif tag == "li":
            self._bullet = "- "
        elif tag == "pre":
            self._preformatted += 1
        elif tag in _HEADINGS:
            self._heading, self._heading_parts = None, len(self._parts)

    def end(self, tag: str) -> None:
        if tag in _HEADINGS and self._heading is not None:
            title = "".join(self._parts[self._heading_parts :])
            self.outline.add(_HEADINGS[tag], title, start=self._heading, body=self._length)
            self._heading = None
        if tag == "pre":
            self._preformatted -= 1
        elif tag == "li":
            self._bullet = ""
        if tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES and tag != "br":
            self._break(1)

    def write(self, text: str) -> None:
        if self._preformatted:
            self._append(text.replace("\r\n", "\n").replace("\r", "\n"))
            return
        text = _SPACE.sub(" ", text)
        if text.startswith(" "):
            self._space = True
        if bare := text.strip(" "):
            self._append(bare)
            self._space = text.endswith(" ")

    def _separate_cell(self) -> None:
        if self._length and not self._breaks:
            self._append(" | ")
            self._space = False

    def _break(self, count: int) -> None:
        self._breaks = max(self._breaks, count)
        self._space = False

    def _append(self, text: str) -> None:
        if not text:
            return
        gap = ("\n" * self._breaks or (" " if self._space else "")) if self._length else ""
        text = self._bullet + text
        self._breaks, self._space, self._bullet = 0, False, ""
        self._parts += [gap, text]
        self._length += len(gap) + len(text)
        if self._heading is None:
            self._heading = self._length - len(text)
