"""XML: elements and attributes as `name: value` lines, their path as the section; no entity is expanded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, ParsedDocument, ParseWarning, Unparsable
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.values import Json, write_value

if TYPE_CHECKING:
    from lxml import etree

FORMAT = Format(
    title="XML",
    position=105,
    suffixes=(".xml",),
    content_types={"application/xml": ".xml", "text/xml": ".xml"},
    read_with="lxml",
    sections="paths, such as `catalog > book[2]`",
    left_out="comments; the structure of what is not well-formed, which the result names",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the tree; what is not well-formed is taken as plain text, and that is said."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        encoding=limits.encoding or None,
    )
    layout = Layout(limits)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, LookupError) as error:
        decoded = decode(data, named=limits.encoding)
        reason = f"its structure: it is not well-formed ({str(error)[:200]}), and was read as plain text"
        warning = ParseWarning("left_out", f"left out: {reason}")
        return ParsedDocument(decoded.text, warnings=(*decoded.warnings, warning))
    try:
        write_value(_read(root), (_name(root),), layout)
    except RecursionError:
        raise Unparsable("too_large", "nests its elements too deeply to be read: flatten it") from None
    return layout.finish()


def _name(element: etree._Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def _read(element: etree._Element) -> Json:
    """Read an element: a text, or its attributes and elements by name, those of one name as a list.

    One that holds text between its elements is a text as a whole.
    """
    children = [child for child in element if isinstance(child.tag, str)]
    attributes = {name.rsplit("}", 1)[-1]: value for name, value in element.attrib.items()}
    mixed = bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)
    text = " ".join(_join_text(element).split())
    if mixed or not children:
        return {**attributes, "text": text} if attributes and text else attributes or text
    values: dict[str, Json] = dict(attributes)
    counts = Counter(map(_name, children))
    for name in counts:
        held = [_read(child) for child in children if _name(child) == name]
        values[f"{name} (element)" if name in attributes else name] = held if counts[name] > 1 else held[0]
    return values


def _join_text(element: etree._Element) -> str:
    """Join all text below an element; an entity that is not expanded is written as it stands."""
    parts = [element.text or ""]
    for child in element:
        parts.append(_join_text(child) if isinstance(child.tag, str) else getattr(child, "text", None) or "")
        parts.append(child.tail or "")
    return "".join(parts)
