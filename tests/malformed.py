"""A hundred and more malformed files, made from valid ones: each with words that its error must say."""

from __future__ import annotations

import gzip
import io
import json
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from tests import samples

PAGES = 40
MEMBERS = 20
CHARACTERS = 1_500_000
PASSAGES = 10_000
FILE_BYTES = 4_000_000
EXPANDED_BYTES = 20_000_000
LIMITS = {
    "DATAPREP_MAX_PAGES": PAGES,
    "DATAPREP_MAX_MEMBERS": MEMBERS,
    "DATAPREP_MAX_CHARACTERS": CHARACTERS,
    "DATAPREP_MAX_PASSAGES": PASSAGES,
    "DATAPREP_MAX_FILE_BYTES": FILE_BYTES,
    "DATAPREP_MAX_EXPANDED_BYTES": EXPANDED_BYTES,
    "DATAPREP_PARSE_SECONDS": 20,
}
"""The limits that the files are made for."""

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
NOISE = bytes(range(256)) * 40
WORD = "word/document.xml"
SHEET = "xl/worksheets/sheet1.xml"
SLIDE = "ppt/slides/slide1.xml"

LAUGHS = b'<!DOCTYPE x [<!ENTITY a0 "ha">%b]>' % b"".join(
    b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)
EXTERNAL = b'<!DOCTYPE x [<!ENTITY a9 SYSTEM "file:///etc/passwd">]>'


@dataclass(frozen=True, slots=True)
class Malformed:
    """A file, and a regular expression that its error's message matches."""

    name: str
    data: bytes
    words: str


def malformed() -> list[Malformed]:
    """All of them; no two have a name in common."""
    groups = (_truncated, _misnamed, _encrypted, _bombs, _xml, _binary, _empty, _broken, _archives)
    found = [Malformed(*each) for group in groups for each in group()]
    assert len({each.name for each in found}) == len(found)
    return found


Case = tuple[str, bytes, str]


def _truncated() -> Iterator[Case]:
    files = samples.valid()
    packed = samples.zipped({"a.md": b"# A " * 500, "b.md": b"# B " * 500})
    tarred = samples.tarred({"a.md": NOISE, "b.md": NOISE})
    whole = {
        "pdf": (files["paper.pdf"], "cut off"),
        "docx": (files["report.docx"], "broken DOCX"),
        "pptx": (files["talk.pptx"], "broken PPTX"),
        "xlsx": (files["book.xlsx"], "broken XLSX"),
        "epub": (files["book.epub"], "broken EPUB"),
        "odt": (files["letter.odt"], "broken OpenDocument"),
        "msg": (files["mail.msg"], "broken Outlook message"),
        "zip": (packed, "broken archive"),
        "tar": (tarred, "broken archive"),
        "tgz": (gzip.compress(tarred), "broken archive"),
        "txt.gz": (gzip.compress(NOISE * 3), "broken archive"),
        "json": (files["data.json"], "is not JSON: .* line 1, column"),
    }
    for suffix, (data, words) in whole.items():
        for percent in (20, 45, 65):
            yield f"truncated-{percent}.{suffix}", data[: len(data) * percent // 100], words
    yield "truncated.jsonl", files["data.jsonl"][:-5], "is not JSON: line 2"


def _misnamed() -> Iterator[Case]:
    files = samples.valid()
    packed = samples.zipped({"a.txt": b"text"})
    yield "docx-inside.pdf", files["report.docx"], "is a DOCX, not pdf"
    yield "pptx-inside.pdf", files["talk.pptx"], "is a PPTX, not pdf"
    yield "pdf-inside.docx", files["paper.pdf"], "is a PDF, not docx"
    yield "xlsx-inside.docx", files["book.xlsx"], "is an XLSX, not docx"
    yield "docx-inside.xlsx", files["report.docx"], "is a DOCX, not xlsx"
    yield "docx-inside.pptx", files["report.docx"], "is a DOCX, not pptx"
    yield "pdf-inside.txt", files["paper.pdf"], "is a PDF, not text"
    yield "pdf-inside.md", files["paper.pdf"], "is a PDF, not markdown"
    yield "docx-inside.txt", files["report.docx"], "is a DOCX, not text"
    yield "zip-inside.txt", packed, "is a ZIP archive, not text"
    yield "zip-inside.docx", packed, "is a ZIP archive, not docx"
    yield "gzip-inside.json", gzip.compress(b"{}"), "is a gzip archive, not json"
    yield "picture.html", PNG, "is a PNG image, not html"
    yield "picture.csv", PNG, "is a PNG image, not csv"
    yield "photo.md", b"\xff\xd8\xff\xe0" + NOISE, "is a JPEG image, not markdown"
    yield "program.py", b"\x7fELF" + NOISE, "is a program, not code"
    yield "html-inside.docx", files["page.html"], "is not a DOCX"
    yield "text-inside.xlsx", b"just text", "is not a XLSX|is not an XLSX"
    yield "text-inside.pdf", b"just text", "is not a PDF"
    yield "error-page.pdf", b"<html><h1>404", "is not a PDF"
    yield "text-inside.zip", b"just text", "broken archive"
    yield "text-inside.tgz", b"just text " * 99, "broken archive"
    yield "old.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office file"
    yield "old.rst", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Office file, not rst"
    yield "letter.doc", NOISE, "save it as DOCX"
    yield "prices.xls", NOISE, "save it as XLSX"
    yield "epub-inside.odt", files["book.epub"], "is an EPUB, not opendocument"
    yield "docx-inside.epub", files["report.docx"], "is a DOCX, not epub"
    yield "text-inside.odt", b"just text", "is not a OpenDocument|is not an OpenDocument"
    yield "text-inside.msg", b"Subject: x\n\ntext", "is not an Outlook message"
    yield "text-inside.rtf", b"just text", "is not RTF"
    yield "pdf-inside.eml", files["paper.pdf"], "is a PDF, not eml"
    yield "headless.eml", b"\n\nno header", "no headers"
    yield "program.exe", b"MZ\x90\0", r"'\.exe': supported are"
    yield "no-suffix", b"text", "no suffix: supported are"


def _encrypted() -> Iterator[Case]:
    yield "locked.pdf", samples.encrypted_pdf(), "encrypted: save it without a password"
    for suffix in ("docx", "pptx", "xlsx"):
        yield f"locked.{suffix}", samples.encrypted_office(), "encrypted: save it without a password"
    yield "flagged.docx", samples.encrypted_zip(samples.make_docx()), "encrypted"
    manifest = b"<manifest><file-entry><encryption-data/></file-entry></manifest>"
    locked = samples.repacked(samples.valid()["letter.odt"], {"META-INF/manifest.xml": manifest})
    yield "locked.odt", locked, "encrypted: save it without a password"
    yield "locked.eml", b"Subject: x\nContent-Type: application/pkcs7-mime\n\nabc", "is encrypted"
    yield "locked.zip", samples.encrypted_zip(samples.zipped({"a.md": b"x"})), "locked.zip/a.md is encrypted"


def _bombs() -> Iterator[Case]:
    zeros = bytes(EXPANDED_BYTES)
    yield "bomb.zip", samples.zipped({f"{n}.txt": zeros[:FILE_BYTES] for n in range(3)}), "only bombs do"
    yield "bomb.tgz", gzip.compress(samples.tarred({"0.txt": zeros})), "only bombs do"
    yield "bomb.txt.gz", gzip.compress(zeros), "only bombs do"
    yield "bomb.docx", samples.repacked(samples.make_docx(), {"word/media/a.bin": zeros}), "only bombs do"
    yield "bomb.xlsx", samples.repacked(samples.make_xlsx(), {SHEET: b" " * EXPANDED_BYTES}), "only bombs do"
    yield "bomb.pptx", samples.repacked(samples.make_pptx(), {"ppt/media/a.bin": zeros}), "only bombs do"
    noise = {f"{n}.txt": NOISE for n in range(MEMBERS + 1)}
    yield "many.zip", samples.zipped(noise), f"more than {MEMBERS} files"
    yield "many.tar", samples.tarred(noise), f"more than {MEMBERS} files"
    yield "overlapping.zip", _overlapping(), "only bombs do|cannot be unpacked"
    cells = b"<row>" + b"<c t='inlineStr'><is><t>x</t></is></c>" * 20 + b"</row>"
    big = b"<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><sheetData>%b" % (
        cells * (EXPANDED_BYTES // len(cells) + 1)
    )
    yield "endless.xlsx", samples.repacked(samples.make_xlsx(), {SHEET: big}), "unpacks to more than"


def _overlapping() -> bytes:
    """A directory of many names for the same compressed member, as the best known bombs have."""
    data = samples.zipped({"a.txt": bytes(FILE_BYTES)})
    at = data.index(b"PK\x01\x02")
    entry, end = data[at : data.index(b"PK\x05\x06")], bytearray(data[data.index(b"PK\x05\x06") :])
    end[8:16] = struct.pack("<HHI", 10, 10, 10 * len(entry))
    return data[:at] + entry * 10 + bytes(end)


def _xml() -> Iterator[Case]:
    targets = (
        ("docx", samples.make_docx(), WORD),
        ("xlsx", samples.make_xlsx(), SHEET),
        ("pptx", samples.make_pptx(), SLIDE),
    )
    for suffix, data, part in targets:
        original = _member(data, part)
        body = original[original.index(b"?>") + 2 :] if original.startswith(b"<?xml") else original
        for kind, doctype in (("laughs", LAUGHS), ("external", EXTERNAL)):
            changed = doctype + body.replace(b">", b">&a9;", 1)
            yield f"{kind}.{suffix}", samples.repacked(data, {part: changed}), "declares a document type"
        if suffix != "xlsx":  # what stands there between the rows is passed over, and the rows are read
            at = body.index(b">", 1) + 1
            changed = body[:at] + b"<x>" * 50_000 + b"</x>" * 50_000 + body[at:]
            yield f"deep.{suffix}", samples.repacked(data, {part: changed}), f"broken {suffix.upper()}"
        yield f"not-xml.{suffix}", samples.repacked(data, {part: b"not xml"}), f"broken {suffix.upper()}"
    original = _member(samples.make_docx(), WORD)
    spanning = original.replace(b"<w:tcPr>", b'<w:tcPr><w:gridSpan w:val="2000000000"/>', 1)
    assert spanning != original
    yield "span.docx", samples.repacked(samples.make_docx(), {WORD: spanning}), "spans 2000000000 columns"
    wide = (LAUGHS + b"<x/>").decode().encode("utf-16")
    yield "laughs-utf16.docx", samples.repacked(samples.make_docx(), {WORD: wide}), "declares a document type"
    yield "deep.html", b"<div>" * 100_000 + b"deep", "too deeply"


def _member(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return package.read(name)


def _binary() -> Iterator[Case]:
    for suffix in ("txt", "md", "rst", "html", "csv", "json", "py", "yaml"):
        yield f"binary.{suffix}", NOISE, "binary"
    for suffix in ("txt", "csv", "jsonl"):
        yield f"nul.{suffix}", b"some text\0and more\n" * 20, "binary"
    yield "half.txt", b"\xff\xfe" + "text".encode("utf-16-le")[:-1], "byte order mark"


def _empty() -> Iterator[Case]:
    for suffix in ("txt", "md", "rst", "html", "pdf", "docx", "pptx", "xlsx", "csv", "json", "py", "zip"):
        yield f"empty.{suffix}", b"", "is empty"
    yield "blank.txt", b" \r\n\t " * 50, "holds no text"
    yield "blank.html", b"<p> </p><script>x</script>", "holds no text"
    yield "blank.xlsx", samples.make_xlsx({"S": [[]]}), "holds no text"
    yield "blank.csv", b",,,\n,,,\n", "holds no text"
    yield "blank.pdf", samples.pdf([[], []]), "without text"
    yield "blank.zip", samples.zipped({}), "holds no files"


def _broken() -> Iterator[Case]:
    yield "wide.csv", b"x," * 1_000_000 + b"x\n", "1000001 columns in row 1"
    yield "deep.json", b"[" * 500_000 + b"]" * 500_000, "nests its values too deeply"
    yield "number.json", b'{"a": ' + b"9" * 10_000 + b"}", "is not JSON: .*digits"
    yield "comma.json", b'{"a": 1,}', "is not JSON: .* at line 1, column 9"
    yield "record.jsonl", b'{"a": 1}\n{"b": \n{"c": 3}\n', "line 2"
    records = b"1\n" * (PASSAGES + 1)
    yield "records.jsonl", records, f"makes {PASSAGES + 1} passages, more than {PASSAGES}"
    yield "pages.pdf", samples.pdf([["page"]] * (PAGES + 1)), f"{PAGES + 1} pages, more than {PAGES}"
    claimed = samples.pdf([["page"]]).replace(b"/Count 1/Kids[4 0 R]", b"/Count 99999/Kids[]  ")
    yield "claimed.pdf", claimed, "more than|broken PDF|without text"
    yield (
        "loop.pdf",
        samples.pdf([["page"]]).replace(b"Kids[4 0 R]", b"Kids[2 0 R]"),
        "broken PDF|without text",
    )
    yield "slides.pptx", samples.make_pptx(PAGES), f"more than {PAGES} pages"
    yield "partless.docx", samples.repacked(samples.make_docx(), {WORD: None}), "DOCX"
    yield "partless.xlsx", samples.repacked(samples.make_xlsx(), {"xl/workbook.xml": None}), "broken XLSX"
    yield "partless.pptx", samples.repacked(samples.make_pptx(), {SLIDE: None}), "broken PPTX"
    yield "line.txt", b"x" * (CHARACTERS + 1), f"more than {CHARACTERS} characters"
    yield "line.html", b"<p>" + b"word " * (CHARACTERS // 5 + 1), f"more than {CHARACTERS} characters"
    yield "field.csv", b'a,b\n"' + b"x" * CHARACTERS + b'",1\n', f"more than {CHARACTERS} characters"
    yield "value.json", json.dumps({"a": "x" * (CHARACTERS + 1)}).encode(), f"more than {CHARACTERS}"
    yield "large.txt", b"x" * (FILE_BYTES + 1), "DATAPREP_MAX_FILE_BYTES"
    yield "../up.md", b"# up", r"\.\. part"
    yield "/etc/passwd.md", b"# absolute", "absolute path"
    yield "back\\slash.md", b"# back", "backslash"


def _archives() -> Iterator[Case]:
    yield "up.zip", samples.zipped({"../../up.md": b"# up"}), r"up.zip/\.\./\.\./up.md .*\.\. part"
    yield "root.tar", samples.tarred({"/etc/passwd.md": b"# up"}), "absolute"
    yield (
        "nested.zip",
        samples.zipped({"inner.zip": samples.zipped({"a.md": b"x"})}),
        "archive within an archive",
    )
    yield "inside.zip", samples.zipped({"bad.docx": b"not one"}), "inside.zip/bad.docx is not a DOCX"
    yield "links.tar", _special(tarfile.SYMTYPE), "is a link"
    yield "device.tar", _special(tarfile.CHRTYPE), "is a device"
    yield "links.zip", _linked(), "is a link"
    yield (
        "huge.zip",
        samples.zipped({"a.txt": NOISE * (FILE_BYTES // len(NOISE) + 1)}),
        "larger than|only bombs",
    )


def _special(kind: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("special.md")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return out.getvalue()


def _linked() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.md")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()
