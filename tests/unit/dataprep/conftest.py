"""PDFs made by hand: a few objects, a cross-reference table, a trailer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

MakePdf = Callable[..., bytes]


def _stream(body: bytes) -> bytes:
    return b"<</Length %d>>stream\n%b\nendstream" % (len(body), body)


def _page(lines: Sequence[str]) -> bytes:
    shown = b"".join(b"(%b)Tj T* " % line.encode("latin-1") for line in lines)
    return _stream(b"BT /F1 12 Tf 14 TL 50 750 Td " + shown + b"ET")


def build(pages: Sequence[Sequence[str]], *, trailer: bytes = b"") -> bytes:
    """A PDF with these lines of text on its pages."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(pages), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for index, lines in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (5 + 2 * index)
        )
        objects.append(_page(lines))
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, table)
    return bytes(out)


@pytest.fixture(scope="session")
def make_pdf() -> MakePdf:
    return build


@pytest.fixture(scope="session")
def encrypted_pdf() -> bytes:
    """Encrypted with a password that nobody knows: its checks are arbitrary bytes."""
    entry = b"<" + b"5a" * 32 + b">"
    encryption = b"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O %b/U %b>>/ID[<00><00>]" % (entry, entry)
    return build([["secret"]], trailer=encryption)
