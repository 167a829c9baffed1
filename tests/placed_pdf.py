"""PDF pages whose texts stand at given places, drawn in a given order; with form fields and notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests import samples


@dataclass(frozen=True)
class Text:
    """A text whose first letter stands at (x, y), from the page's lower left; `degrees` turn it."""

    x: float
    y: float
    text: str
    size: float = 11
    degrees: float = 0

    def draw(self) -> bytes:
        turn = math.radians(self.degrees)
        cos, sin = math.cos(turn), math.sin(turn)
        shown = self.text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252")
        matrix = f"{cos:.4f} {sin:.4f} {-sin:.4f} {cos:.4f} {self.x:.2f} {self.y:.2f}"
        return f"BT /F1 {self.size} Tf {matrix} Tm (".encode() + shown + b")Tj ET\n"


@dataclass(frozen=True)
class Page:
    """What is drawn, in order, and annotations as the inner of their dictionaries; `turned` is its /Rotate."""

    texts: Sequence[Text] = ()
    annotations: Sequence[str] = ()
    turned: int = 0


@dataclass
class _Objects:
    bodies: list[bytes] = field(default_factory=list)

    def add(self, body: bytes) -> int:
        self.bodies.append(body)
        return len(self.bodies)


def lines(x: float, top: float, texts: Sequence[str], pitch: float = 14) -> list[Text]:
    """Lines below each other."""
    return [Text(x, top - pitch * at, text) for at, text in enumerate(texts)]


def place(*pages: Page) -> bytes:
    objects = _Objects(
        [b"", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"]
    )
    kids, fields = [], []
    for page in pages:
        body = b"".join(text.draw() for text in page.texts)
        content = objects.add(b"<</Length %d>>stream\n%b\nendstream" % (len(body), body))
        added = [objects.add(f"<</Type/Annot {inner}>>".encode("cp1252")) for inner in page.annotations]
        fields += [
            number for number, inner in zip(added, page.annotations, strict=True) if "/Widget" in inner
        ]
        listed = " ".join(f"{number} 0 R" for number in added)
        kids.append(
            objects.add(
                f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Rotate {page.turned}"
                f"/Resources<</Font<</F1 3 0 R>>>>/Contents {content} 0 R/Annots[{listed}]>>".encode()
            )
        )
    form = " ".join(f"{number} 0 R" for number in fields)
    acro = f"/AcroForm<</Fields[{form}]/DA(/F1 11 Tf)/DR<</Font<</F1 3 0 R>>>>>>" if fields else ""
    objects.bodies[0] = f"<</Type/Catalog/Pages 2 0 R{acro}>>".encode()
    listed = " ".join(f"{number} 0 R" for number in kids)
    objects.bodies[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{listed}]>>".encode()
    return samples.assemble_pdf(objects.bodies)


def text_field(box: str, name: str, value: str, more: str = "") -> str:
    return f"/Subtype/Widget/FT/Tx/Rect[{box}]/T({name})/V({value}){more}"


def tick_box(box: str, name: str, ticked: bool) -> str:
    state = "/Yes" if ticked else "/Off"
    return f"/Subtype/Widget/FT/Btn/Rect[{box}]/T({name})/V{state}/AS{state}"
