"""Names and ids of documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import InvalidRequest
from services.core.wire.passages import passage_id
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.upload.names import clean_name, document_id, revision


@pytest.mark.parametrize(
    "name", ["a.md", "guide/setup.md", "Ünïcode ☃/日本.pdf", ".hidden/..a..md", "a b.txt", "x" * 252 + ".md"]
)
def test_a_relative_path_is_a_name(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("../a.md", ".. part"),
        ("a/../b.md", ".. part"),
        ("a/ .. /b.md", ".. part"),
        ("a/./b.md", ".. part"),
        ("a//b.md", "empty, . or .. part"),
        ("a/", "empty, . or .. part"),
        ("/etc/passwd.md", "absolute"),
        ("C:/a.md", "absolute"),
        ("c:a.md", "absolute"),
        ("a\\b.md", "backslash"),
        ("..\\a.md", "backslash"),
        ("a\0.md", "control"),
        ("a\n.md", "control"),
        ("a\x7f.md", "control"),
        ("a\x85.md", "control"),
        ("a\u2028.md", "control"),
        ("a\ud800.md", "control"),
        ("a\ufffd.md", "UTF-8"),
        ("x" * 253 + ".md", "255 bytes"),
        ("ü" * 127 + ".md", "255 bytes"),
    ],
)
def test_anything_else_is_refused(name: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        clean_name(name)
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 3000


@given(st.text(max_size=300))
def test_a_name_is_clean_or_refused(text: str) -> None:
    try:
        name = clean_name(text)
    except InvalidRequest:
        return
    assert clean_name(name) == name
    assert not {"", ".", ".."} & set(name.split("/"))


def test_one_spelling_is_one_document() -> None:
    assert clean_name("Mu\u0308nchen.md") == clean_name("M\u00fcnchen.md")


def test_ids_follow_from_content_and_chunking_alone() -> None:
    assert document_id("a.md") == "doc-fecccc97532467ad"
    assert document_id("a.md") != document_id("b.md")
    chunking = Chunking(700, 100)
    assert revision("ab", chunking) == revision("ab", Chunking(700, 100))
    assert len({revision("ab", chunking), revision("ac", chunking), revision("ab", Chunking(700, 90))}) == 3
    ids = {passage_id("doc-1", "r", 0), passage_id("doc-1", "r", 1), passage_id("doc-1", "s", 0)}
    assert len(ids) == 3
    assert passage_id("doc-1", "r", 0) in ids
