"""Bytes to text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Unparsable

GERMAN = "Grüße aus Köln: die Straße ist naß, und überall stehen schöne Häuser mit großen Gärten."
JAPANESE = "こんにちは世界。これは日本語のテキストです。文字コードを調べます。"
CHINESE = "你好世界。这是一个中文文本,用来检查编码。我们今天去北京看长城。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (JAPANESE, "shift_jis"),
        (CHINESE, "gb18030"),
        ("Привет, мир. Это русский текст для проверки кодировки.", "cp1251"),
        ("plain", "ascii"),
    ],
)
def test_common_encodings_are_told(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_byte_order_marks_are_stripped(mark: str) -> None:
    assert decode(("\ufeff" + GERMAN).encode(mark)) == GERMAN


def test_a_declared_encoding_comes_first_and_a_wrong_one_does_no_harm() -> None:
    text = "Ελληνικά γράμματα"
    assert decode(text.encode("iso-8859-7"), declared="iso-8859-7") == text
    assert decode(GERMAN.encode(), declared="no-such-encoding") == GERMAN
    assert decode(GERMAN.encode(), declared="ascii") == GERMAN


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 20,
        b"text\0text",
        b"\x01\x02\x03\x04\x05\x06text",
        codecs.BOM_UTF8 + b"\xff\xff",
        codecs.BOM_UTF16_LE + b"a",
        "utf-16 without a mark".encode("utf-16-le"),
    ],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(Unparsable) as caught:
        decode(data)
    assert caught.value.reason == "unsupported"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_utf8_comes_through_unchanged(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")
