"""The content of a DOCX that python-docx does not look into, brought to where it does.

Equations, symbols, readings of Japanese words, content controls, fields, insertions and text boxes become
plain runs and paragraphs of the tree; footnotes, endnotes, headers and footers are read from their parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from docx.oxml import parse_xml
from docx.text.run import Run

from services.dataprep.parsing.equations import MATH, write_equation
from services.dataprep.parsing.symbols import is_private, read_symbol

if TYPE_CHECKING:
    from docx.document import Document
    from lxml import etree

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_RELATED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TRANSPARENT = [WORD + name for name in ("ins", "moveTo", "smartTag", "customXml", "fldSimple", "dir", "bdo")]
_NOTES = (("footnoteReference", "footnotes", "Footnote"), ("endnoteReference", "endnotes", "Endnote"))
_PAGE_FIELDS = ("PAGE", "NUMPAGES", "SECTIONPAGES", "FILENAME")


def surface_text(body: etree._Element) -> list[str]:
    """Rewrite the tree below `body`, and return the names of fonts whose symbols could not be told."""
    for fallback in list(body.iter(_FALLBACK)):  # the same content again, for old readers
        _replace(fallback, [])
    for box in reversed(list(body.iter(WORD + "txbxContent"))):
        host = next(box.iterancestors(WORD + "p"), None)
        for part in reversed(list(box)):
            if host is not None:
                host.addnext(part)
    for control in list(body.iter(WORD + "sdt")):
        content = control.find(WORD + "sdtContent")
        _replace(control, [] if content is None else list(content))
    for wrapper in list(body.iter(*_TRANSPARENT)):
        _replace(wrapper, [child for child in wrapper if child.tag != WORD + "fldData"])
    for equation in list(body.iter(MATH + "oMathPara", MATH + "oMath")):
        if next(equation.iterancestors(MATH + "oMathPara"), None) is None:
            _replace(equation, [_make_run(equation, write_equation(equation))])
    for ruby in list(body.iter(WORD + "ruby")):
        base, reading = (_join_texts(ruby.find(WORD + part)) for part in ("rubyBase", "rt"))
        _replace(ruby, [_make_text(ruby, f"{base}({reading})" if reading else base)])
    return _read_symbols(body)


def _read_symbols(body: etree._Element) -> list[str]:
    unknown: dict[str, None] = {}
    for symbol in list(body.iter(WORD + "sym")):
        font, code = symbol.get(WORD + "font") or "", symbol.get(WORD + "char") or ""
        try:
            character = read_symbol(font, int(code, 16), _following_text(symbol))
        except ValueError:
            character = None
        if character is None:
            unknown[font or "no font"] = None
        _replace(symbol, [_make_text(symbol, "\ufffd" if character is None else character)])
    for text in body.iter(WORD + "t"):
        if text.text and any(map(is_private, text.text)):
            font = _font_of(text)
            characters = [
                read_symbol(font, ord(character), text.text[at + 1 :]) if is_private(character) else character
                for at, character in enumerate(text.text)
            ]
            if None in characters:
                unknown[font or "no font"] = None
            text.text = "".join("\ufffd" if character is None else character for character in characters)
    return list(unknown)


def _following_text(symbol: etree._Element) -> str:
    """Give the text right behind a symbol, of its own run or of the next one."""
    run = symbol.getparent()
    behind = list(symbol.itersiblings())
    if not behind and run is not None:
        behind = list(run.itersiblings(WORD + "r"))[:1]
    return "".join(_join_texts(element) for element in behind[:1])


def _font_of(text: etree._Element) -> str:
    run = text.getparent()
    fonts = None if run is None else run.find(f"{WORD}rPr/{WORD}rFonts")
    return "" if fonts is None else fonts.get(WORD + "ascii") or fonts.get(WORD + "hAnsi") or ""


def _make_text(near: etree._Element, text: str) -> etree._Element:
    element = near.makeelement(WORD + "t")
    element.text = text
    return element


def _make_run(near: etree._Element, text: str) -> etree._Element:
    run = near.makeelement(WORD + "r")
    run.append(_make_text(near, text))
    return run


def _replace(element: etree._Element, by: list[etree._Element]) -> None:
    parent = element.getparent()
    if parent is None:
        raise ValueError("the body has no parent to put its content into")
    at = parent.index(element)
    parent[at : at + 1] = by


def _join_texts(element: etree._Element | None) -> str:
    if element is None:
        return ""
    texts = [element] if element.tag == WORD + "t" else element.iter(WORD + "t")
    return "".join(text.text or "" for text in texts)


class Notes:
    """The footnotes and endnotes of a document, by their references."""

    def __init__(self, document: Document) -> None:
        self.unknown_fonts: list[str] = []
        self._texts: dict[tuple[str, str], str] = {}
        self._numbers = {reference: 0 for reference, _, _ in _NOTES}
        for reference, part, _ in _NOTES:
            root = _read_part(document, f"/word/{part}.xml")
            for note in () if root is None else list(root):
                self.unknown_fonts += surface_text(note)
                text = " ".join(_write_paragraphs(note))
                if text:
                    self._texts[reference, note.get(WORD + "id") or ""] = text

    def below(self, element: etree._Element) -> Iterator[str]:
        """Give the notes that an element refers to, each with its number, in order."""
        if not self._texts:
            return
        for reference, _, called in _NOTES:
            for found in element.iter(WORD + reference):
                self._numbers[reference] += 1
                text = self._texts.pop((reference, found.get(WORD + "id") or ""), "")
                if text:
                    yield f"{called} {self._numbers[reference]}: {text}"


def read_margins(document: Document) -> dict[str, list[str]]:
    """Read the texts of page headers and of page footers, each once, without the numbers of the pages."""
    found: dict[str, dict[str, None]] = {"header": {}, "footer": {}}
    for kind, texts in found.items():
        for reference in document.element.body.iter(f"{WORD}{kind}Reference"):
            related = document.part.rels.get(reference.get(_RELATED) or "")
            root = None if related is None or related.is_external else _parse(related.target_part.blob)
            if root is not None:
                _drop_page_fields(root)
                surface_text(root)
                texts |= {text: None for text in _write_paragraphs(root) if any(map(str.isalnum, text))}
    return {kind: list(texts) for kind, texts in found.items()}


def _drop_page_fields(root: etree._Element) -> None:
    """Leave out what counts pages: a simple field, or the runs from a field's begin to its end."""
    for simple in list(root.iter(WORD + "fldSimple")):
        if (simple.get(WORD + "instr") or "").split()[:1] in ([name] for name in _PAGE_FIELDS):
            _replace(simple, [])
    for paragraph in root.iter(WORD + "p"):
        held: list[etree._Element] | None = None
        instruction = ""
        for run in list(paragraph.iter(WORD + "r")):
            mark = run.find(WORD + "fldChar")
            kind = "" if mark is None else mark.get(WORD + "fldCharType")
            if kind == "begin":
                held, instruction = [], ""
            if held is not None:
                held.append(run)
                instruction += "".join(text.text or "" for text in run.iter(WORD + "instrText"))
            if kind == "end" and held is not None:
                if instruction.split()[:1] in ([name] for name in _PAGE_FIELDS):
                    for member in held:
                        _replace(member, [])
                held = None


def _write_paragraphs(root: etree._Element) -> Iterator[str]:
    for paragraph in root.iter(WORD + "p"):
        runs: Iterable[etree._Element] = paragraph.iter(WORD + "r")
        text = " ".join("".join(Run(run, None).text for run in runs).split())  # type: ignore[arg-type]
        if text:
            yield text


def _read_part(document: Document, name: str) -> etree._Element | None:
    for part in document.part.package.iter_parts():
        if str(part.partname) == name:
            return _parse(part.blob)
    return None


def _parse(blob: bytes) -> etree._Element:
    root: etree._Element = parse_xml(blob)
    return root
