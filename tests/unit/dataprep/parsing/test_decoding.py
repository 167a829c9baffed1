"""Bytes to text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dataprep.parsing.decoding import decode, is_text_encoding
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
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_byte_order_marks_are_stripped(mark: str) -> None:
    assert decode(("\ufeff" + GERMAN).encode(mark)).text == GERMAN


def test_a_declared_encoding_comes_first_and_a_wrong_one_does_no_harm() -> None:
    text = "Ελληνικά γράμματα"
    assert decode(text.encode("iso-8859-7"), declared="iso-8859-7").text == text
    assert decode(GERMAN.encode(), declared="no-such-encoding").text == GERMAN
    assert decode(GERMAN.encode(), declared="ascii").text == GERMAN


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
    assert decode(text.encode()).text == text.removeprefix("\ufeff")


LEGACY = [
    ("Désignation;Quantité;Prix\r\nVis à bois;100;4,50 €\r\nCheville à béton;50;7,20 €\r\n", "cp1252"),
    ("Die Prüfung der Anlage erfolgt jährlich. Für Rückfragen: Büro Köln.\n", "cp1252"),
    ("Prix;4,50 €\n", "cp1252"),
    ("Artikel;Preis\nSchraube;4,50 €\nDübel;7,20 €\n", "cp1252"),
    ("Größe: 12 mm", "cp1252"),
    ("Año;Descripción;Precio\nNiño pequeño;España;3,50 €\n", "cp1252"),
    ("Preço;Descrição\nParafuso;3,50\nAção;1", "cp1252"),
    ("Prodotto;Quantità;Perché\nVite;100;città", "cp1252"),
    ("Smörgåsbord på svenska för alla som är här", "cp1252"),
    ("“Smart quotes” – and dashes… it’s", "cp1252"),  # noqa: RUF001
    ("50 °C ± 2 µm § 4", "cp1252"),
    ("naïve café résumé", "cp1252"),
    ("Zażółć gęślą jaźń. Cena wynosi pięć złotych.", "cp1250"),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
    ("Цена: 450 рублей", "cp1251"),
    ("Привет, мир. Это русский текст.", "koi8-r"),
    ("Türkçe metin için şöyle bir cümle: ığdır, güneş, İstanbul", "cp1254"),  # noqa: RUF001
    ("価格;数量\n部品;四百円\n", "shift_jis"),
    ("こんにちは世界。これは日本語です。", "euc_jp"),
    ("繁體中文測試文件，價格與數量", "big5"),  # noqa: RUF001
    ("한국어 문장입니다. 가격과 수량", "euc_kr"),
]


@pytest.mark.parametrize(("text", "encoding"), LEGACY)
def test_short_texts_and_price_lists_are_told_and_the_guess_is_said(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert [warning.kind for warning in decoded.warnings] == ["encoding_guessed"]
    assert "% sure" in decoded.warnings[0].message


def test_what_is_no_guess_says_nothing() -> None:
    assert not decode(GERMAN.encode()).warnings
    assert not decode(GERMAN.encode("utf-16")).warnings
    assert not decode("Ελληνικά".encode("iso-8859-7"), declared="iso-8859-7").warnings
    assert not decode("Ελληνικά".encode("iso-8859-7"), named="iso-8859-7").warnings


def test_only_what_is_not_ascii_is_looked_at_however_far_it_is() -> None:
    far = "plain words, line after line\n" * 100_000 + "Die Prüfung erfolgt jährlich, außer in Köln.\n"
    assert decode(far.encode("cp1252")).text == far


def test_a_named_encoding_is_the_one_or_the_file_is_refused() -> None:
    assert decode("Größe".encode("cp850"), named="cp850").text == "Größe"
    assert decode(b"Gr\x94\xe1e", named="cp850").text == "Größe"
    assert decode(codecs.BOM_UTF8 + "Größe".encode(), named="cp1252").text == "Größe", "a mark says more"
    with pytest.raises(Unparsable, match="not in the encoding utf-8, which the upload names"):
        decode("Größe".encode("cp1252"), named="utf-8")
    with pytest.raises(Unparsable, match="binary"):
        decode(bytes(range(256)) * 4, named="latin-1")


@pytest.mark.parametrize("name", ["cp1252", "Shift_JIS", "UTF-16", "latin-1"])
def test_encodings_of_text_can_be_named(name: str) -> None:
    assert is_text_encoding(name)


@pytest.mark.parametrize("name", ["rot13", "hex", "zlib", "no such", "\0", "\ud800"])
def test_nothing_else_can_be_named(name: str) -> None:
    assert not is_text_encoding(name)
