"""Equations of Office documents (OMML) as a line of text: `P = 0.05 x days`, `(a + b)/c`, `x^2`, `√(n)`.

The names of the elements are those of ECMA-376, part 1, 22.1. What has no way of writing here is written as
the texts in it, one after the other: no symbol of an equation is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_SIMPLE = 1
"""A part of so many characters needs no brackets around it."""


def write_equation(element: etree._Element) -> str:
    """Write an `oMath` or an `oMathPara`; several equations of a paragraph are parted by a semicolon."""
    if element.tag == MATH + "oMathPara":
        return "; ".join(filter(None, (write_equation(part) for part in element.findall(MATH + "oMath"))))
    return " ".join(_write_all(element).split())


def _write_all(element: etree._Element | None) -> str:
    """Write what an element holds, in order."""
    if element is None:
        return ""
    return "".join(_write(child) for child in element)


def _write(element: etree._Element) -> str:
    if not isinstance(element.tag, str):
        return ""
    name = element.tag.rsplit("}", 1)[-1]
    if name == "t":
        return element.text or ""
    if name.endswith("Pr"):  # properties, which hold no text
        return ""
    special = _WRITERS.get(name) if element.tag.startswith(MATH) else None
    return special(element) if special else _write_all(element)


def _part(element: etree._Element, name: str) -> str:
    return _write_all(element.find(MATH + name)).strip()


def _bracket(text: str) -> str:
    """Put brackets around a part that would be read otherwise without them."""
    if len(text) <= _SIMPLE or text.isalnum() or (text[0] == "(" and text.find(")") == len(text) - 1):
        return text
    return f"({text})"


def _property(element: etree._Element, name: str, otherwise: str) -> str:
    """Read a character that the element's properties name; one that is named and empty is none."""
    for properties in element:
        if isinstance(properties.tag, str) and properties.tag.endswith("Pr"):
            found = properties.find(MATH + name)
            if found is not None:
                return found.get(MATH + "val") or ""
    return otherwise


def _write_fraction(element: etree._Element) -> str:
    over, under = _part(element, "num"), _part(element, "den")
    if _property(element, "type", "bar") == "noBar":  # a binomial coefficient has its brackets around it
        return f"{_bracket(over)} over {_bracket(under)}"
    return f"{_bracket(over)}/{_bracket(under)}"


def _write_scripts(element: etree._Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    scripts = (f"_{_bracket(below)}" if below else "") + (f"^{_bracket(above)}" if above else "")
    return _bracket(_part(element, "e")) + scripts


def _write_scripts_before(element: etree._Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    scripts = (f"_{_bracket(below)}" if below else "") + (f"^{_bracket(above)}" if above else "")
    return scripts + _part(element, "e")


def _write_root(element: etree._Element) -> str:
    degree, body = _part(element, "deg"), _part(element, "e")
    return f"root({degree}, {body})" if degree else f"√({body})"


def _write_sum(element: etree._Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    scripts = (f"_{_bracket(below)}" if below else "") + (f"^{_bracket(above)}" if above else "")
    return f"{_property(element, 'chr', '∫')}{scripts} {_part(element, 'e')}"


def _write_brackets(element: etree._Element) -> str:
    between = _property(element, "sepChr", "|")
    parts = [_write_all(part).strip() for part in element.findall(MATH + "e")]
    return _property(element, "begChr", "(") + between.join(parts) + _property(element, "endChr", ")")


def _write_function(element: etree._Element) -> str:
    body = _part(element, "e")
    return f"{_part(element, 'fName')}{body if body.startswith('(') else f'({body})'}"


def _write_limit(element: etree._Element) -> str:
    return f"{_part(element, 'e')}_{_bracket(_part(element, 'lim'))}"


def _write_upper_limit(element: etree._Element) -> str:
    return f"{_part(element, 'e')}^{_bracket(_part(element, 'lim'))}"


def _write_accent(element: etree._Element) -> str:
    return _part(element, "e") + _property(element, "chr", "\u0302")


def _write_matrix(element: etree._Element) -> str:
    rows = element.findall(MATH + "mr")
    cells = (", ".join(_write_all(cell).strip() for cell in row.findall(MATH + "e")) for row in rows)
    return "[" + "; ".join(cells) + "]"


def _write_lines(element: etree._Element) -> str:
    return "; ".join(_write_all(line).replace("&", "").strip() for line in element.findall(MATH + "e"))


_WRITERS = {
    "f": _write_fraction,
    "sSub": _write_scripts,
    "sSup": _write_scripts,
    "sSubSup": _write_scripts,
    "sPre": _write_scripts_before,
    "rad": _write_root,
    "nary": _write_sum,
    "d": _write_brackets,
    "func": _write_function,
    "limLow": _write_limit,
    "limUpp": _write_upper_limit,
    "acc": _write_accent,
    "m": _write_matrix,
    "eqArr": _write_lines,
}
