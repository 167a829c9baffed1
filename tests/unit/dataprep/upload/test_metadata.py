"""Metadata of an upload: what is taken, what is refused, and what goes with which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InvalidRequest
from services.core.wire.dataprep import JobFile
from services.dataprep.jobs.ingest import _passages
from services.dataprep.parsing.chunking import Chunk, Chunking
from services.dataprep.parsing.document import TextBox
from services.dataprep.parsing.registry import parse
from services.dataprep.parsing.sandbox import ChunkedDocument
from services.dataprep.upload.metadata import attach_sidecars, read_metadata
from services.dataprep.upload.multipart import Upload
from services.dataprep.upload.names import revision
from tests import samples


def test_an_object_of_texts_numbers_and_lists_is_taken() -> None:
    text = '{"author": "Ana", "year": 2026, "share": 0.5, "draft": false, "tags": ["a", "b"], "date": "2026-03-31"}'
    assert read_metadata(text, "metadata") == {
        "author": "Ana",
        "year": 2026,
        "share": 0.5,
        "draft": False,
        "tags": ["a", "b"],
        "date": "2026-03-31",
    }
    assert read_metadata(" ", "metadata") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "metadata is no JSON object"),
        ("[1]", "metadata is no JSON object"),
        ('{"a": {"b": 1}}', "at a: send such as"),
        ('{"a": [1]}', "at a: send such as"),
        ('{"a": null}', "at a: send such as"),
        ('{"a": NaN}', "metadata is no JSON object"),
        ('{"page": 3, "title": "x"}', "page, title is a field of its own"),
        ('{"a": "%s"}' % ("x" * 1001), "more than 1000 characters"),
        ("[" * 100_000, "metadata is no JSON object"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_metadata(text, "metadata")


def upload(folder: Path, name: str, data: bytes) -> Upload:
    path = folder / str(len(list(folder.iterdir())))
    path.write_bytes(data)
    return Upload(name, path, len(data), "")


def test_a_file_beside_a_file_describes_it_and_is_no_document(tmp_path: Path) -> None:
    uploads = [
        upload(tmp_path, "a.zip/x.pdf", b"x"),
        upload(tmp_path, "a.zip/x.pdf.meta.json", b'{"year": 2026}'),
        upload(tmp_path, "alone.meta.json", b'{"kept": "as a document"}'),
        upload(tmp_path, "bad.md", b"x"),
        upload(tmp_path, "bad.md.meta.json", b"{"),
        upload(tmp_path, "plain.md", b"x"),
    ]
    found = attach_sidecars(uploads)
    assert [(file.name, metadata) for file, metadata in found] == [
        ("a.zip/x.pdf", {"year": 2026}),
        ("alone.meta.json", {}),
        ("bad.md", {}),
        ("plain.md", {}),
    ]
    assert [file.error is None for file, _ in found] == [True, True, False, True]
    assert "bad.md.meta.json is no JSON object" in str(found[2][0].error)


def test_what_is_sent_wins_and_is_part_of_the_revision() -> None:
    prepared = ChunkedDocument(
        "one two",
        [Chunk(0, 3), Chunk(4, 7)],
        boxes=(TextBox(4, 7, 2, 0.1, 0.2, 0.3, 0.25),),
        metadata={"author": "Ana", "k": "v"},
    )
    passages = _passages(JobFile(name="a.pdf", metadata={"author": "Ben", "year": 2026}), "r", prepared)
    assert passages[0].metadata == {"author": "Ben", "k": "v", "year": 2026}
    assert passages[1].metadata["boxes"] == ["2 0.1 0.2 0.3 0.25"]
    chunking = Chunking()
    plain = revision("ab", chunking)
    assert revision("ab", chunking, metadata={}) == plain
    assert (
        revision("ab", chunking, metadata={"a": 1, "b": 2})
        == revision("ab", chunking, metadata={"b": 2, "a": 1})
        != plain
    )


def test_what_files_say_of_themselves() -> None:
    markdown = (
        "---\ntitle: Tides\nauthor: \"Ana\"\ndate: 2026-03-31\ntags: [sea, 'moon']\nplaces:\n  - Brest\n  - Cork\n"
        "nested:\n  a: 1\n---\n# Text\n"
    )
    assert parse("a.md", markdown.encode()).metadata == {
        "document_title": "Tides",
        "author": "Ana",
        "date": "2026-03-31",
        "tags": ["sea", "moon"],
        "places": ["Brest", "Cork"],
    }
    assert parse("a.docx", samples.make_docx()).metadata["author"] == "python-docx"
    assert "created" in parse("a.xlsx", samples.make_xlsx()).metadata
    info = samples.assemble_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<</Font<</F 3 0 R>>>>/Contents 5 0 R>>",
            b"<</Length 36>>stream\nBT /F 12 Tf 9 50 Td (some text)Tj ET\nendstream",
            b"<</Author(Ana)/CreationDate(D:20260331120000Z)>>",
        ],
        b"/Info 6 0 R",
    )
    assert parse("a.pdf", info).metadata == {"author": "Ana", "created": "2026-03-31"}
    mail = b"Subject: Recall\nFrom: ana@example.org\nDate: Tue, 31 Mar 2026 14:05:00 +0100\n\ntext"
    assert parse("a.eml", mail).metadata == {
        "subject": "Recall",
        "sender": "ana@example.org",
        "date": "2026-03-31T14:05:00+01:00",
    }
