"""reStructuredText: the decoded file, unchanged, with a section at every heading that docutils finds.

No directive reads a file, a URL or raw markup, and what docutils does not know (Sphinx's) stays text.
"""

from __future__ import annotations

import re
from itertools import accumulate

from docutils import frontend, nodes, utils
from docutils.parsers.rst import Parser, states

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Limits, Outline, ParsedDocument, Unparsable

_CLOSED = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "warning_stream": False,
    "line_length_limit": 1 << 30,
}
_ROLE = re.compile(r":[\w.:+-]{1,60}:(?=`)")
_TARGET = re.compile(r"\s*<[^<>`\n]{1,300}>(?=`)")
_MARKUP = re.compile(r"``|\*\*|[`*|]_{0,2}|\\(?=\S)")


class _Plain(states.Inliner):
    """Leaves the text within a paragraph alone: only the structure is wanted, and long lines cost no time."""

    def init_customizations(self, settings: object) -> None:
        """No patterns to prepare."""

    def parse(
        self, text: str, lineno: int, memo: object, parent: nodes.Element
    ) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        return [nodes.Text(text)], []


def parse(data: bytes, _: Limits, _suffix: str) -> ParsedDocument:
    text = decode(data)
    parser = Parser(inliner=_Plain())
    settings = frontend.get_default_settings(Parser)
    for name, value in _CLOSED.items():
        setattr(settings, name, value)
    document = utils.new_document("", settings)
    try:
        parser.parse(text, document)
        return ParsedDocument(text, _outline(text, document).sections)
    except RecursionError:
        raise Unparsable("too_large", "nests its blocks too deeply to be read: flatten it") from None


def _outline(text: str, document: nodes.document) -> Outline:
    lines = text.replace("\v", " ").replace("\f", " ").splitlines(keepends=True)  # as docutils does
    starts = list(accumulate(map(len, lines), initial=0))
    outline = Outline()
    for section in document.findall(nodes.section):
        rule = section.line  # counted from 1: the line of the rule below the title
        if rule is None or not 2 <= rule <= len(lines):
            continue
        is_overlined = rule >= 3 and lines[rule - 3].strip() == lines[rule - 1].strip()
        outline.add(
            _depth(section),
            _title(section),
            start=starts[rule - 3 if is_overlined else rule - 2],
            body=starts[rule],
        )
    return outline


def _depth(section: nodes.section) -> int:
    depth, parent = 1, section.parent
    while isinstance(parent, nodes.section):
        depth, parent = depth + 1, parent.parent
    return depth


def _title(section: nodes.section) -> str:
    title = section.next_node(nodes.title)
    text = "" if title is None else title.astext()
    return _MARKUP.sub("", _TARGET.sub("", _ROLE.sub("", text)))
