"""Each format: its text, sections and pages, and what is refused."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dataprep.parsing.document import Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.registry import all_formats, parse
from tests.soak import rounds
from tests.unit.dataprep.conftest import MakePdf


def outline(document: ParsedDocument) -> list[tuple[str, ...]]:
    return [section.path for section in document.sections]


def headings(document: ParsedDocument) -> list[str]:
    return [document.text[section.start : section.body].strip() for section in document.sections]


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize(
    "text", ["one\r\ntwo\rthree\n\n", "\ttabs\n  and  spaces \n", "# ünï\n\f\x0b\x1b[0m\u2028x"]
)
def test_text_and_markdown_are_the_file_itself(name: str, text: str) -> None:
    assert parse(name, text.encode()).text == text
    assert parse(name, text.encode("utf-8-sig")).text == text


def test_markdown_sections() -> None:
    source = (
        "preamble\n\n# A *strong* `code` [link](x) ![picture](y)\ntext\n\n## B #\n\n```\n# no heading\n```\n"
        "\n    # nor this\n\n> # nor a quote's\n\n- # nor a list's\n\nSetext\nheading\n---\n\n#hashtag\n\n# C\r\n"
        "last <b>html</b> \\# no\r\n### D<br>d\r\n#"
    )
    document = parse("a.md", source.encode())
    assert outline(document) == [
        ("A strong code link picture",),
        ("A strong code link picture", "B"),
        ("A strong code link picture", "Setext heading"),
        ("C",),
        ("C", "Dd"),
    ]
    assert headings(document)[1:] == ["## B #", "Setext\nheading\n---", "# C", "### D<br>d"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_front_matter_is_no_heading(newline: str) -> None:
    source = newline.join(["---", "title: The title", "tags: [a]", "---", "# Real", "text"])
    document = parse("a.md", source.encode())
    assert headings(document) == ["# Real"]
    assert document.text == source


def test_a_rule_is_not_front_matter() -> None:
    document = parse("a.md", b"---\n\nFirst\n---\n\n# Second\n\n---\nend")
    assert outline(document) == [("First",), ("Second",)]


def test_front_matter_without_end_takes_no_exponential_time() -> None:
    start = time.process_time()
    parse("a.md", b"---\r\na: b\r\n" + b"\r\n" * 20_000 + b"end")
    assert time.process_time() - start < 5


@pytest.mark.soak
@settings(max_examples=rounds(50, 1000), deadline=None)
@given(
    st.lists(st.sampled_from(["# A", "## B", "text", "===", "---", "", "```", "> # q", "\t# x"]), max_size=20)
)
def test_markdown_headings_lie_where_they_say(lines: list[str]) -> None:
    for newline in ("\n", "\r\n", "\r"):
        document = parse("a.md", newline.join([*lines, "end"]).encode())
        for heading, section in zip(headings(document), document.sections, strict=True):
            assert heading.startswith(("#", "text", "===", "---", ">", "```"))
            assert section.start == 0 or document.text[section.start - 1] in "\r\n"
            assert section.path[-1].split()[0] in heading


def test_a_long_heading_is_cut_in_the_path_only() -> None:
    document = parse("a.md", b"# " + b"word " * 100 + b"\n\ntext")
    assert len(document.sections[0].path[0]) == 120
    assert document.sections[0].body == 503


HTML = b"""<!doctype html><html><head><title>Ignored here</title><style>p{}</style>
<script>var a = "<p>no</p>";</script></head><body>
<nav><a href=/>Home</a></nav><header><p>Site</p></header>
<main><h1>Caf&eacute;  <em>menu</em></h1>
<p>One &amp; two<br>three&nbsp;four <b>bo</b>ld.<!-- comment --> Tail.</p>
<h2>List</h2><ul><li>first</li><li><p>second</p> more</li></ul>
<template>no</template><p hidden>no</p><p aria-hidden=true>no</p>
<table><tr><th>Name</th><th>Price</th></tr><tr><td>Tea</td><td>2&euro;</td></tr></table>
<pre>  def f():
    return 1
</pre></main><footer>Imprint</footer></body></html>"""


def test_html_is_its_main_text() -> None:
    document = parse("a.html", HTML)
    assert document.text == (
        "Café menu\n\nOne & two\nthree\u00a0four bold. Tail.\n\nList\n\n- first\n\n- second\n\nmore\n\n"
        "Name | Price\nTea | 2€\n\n  def f():\n    return 1\n"
    )
    assert outline(document) == [("Café menu",), ("Café menu", "List")]
    assert headings(document) == ["Café menu", "List"]


def test_html_without_a_first_heading_takes_the_title() -> None:
    document = parse("a.htm", b"<title>The  page</title><h2>Part</h2><p>text")
    assert document.text == "The page\n\nPart\n\ntext"
    assert outline(document) == [("The page",), ("The page", "Part")]


def test_html_does_not_say_its_title_twice() -> None:
    document = parse("a.html", b"<title>Part two - The book</title><h2>Part  two</h2><p>text")
    assert document.text == "Part two\n\ntext"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            b"<p>a</p><article><p>short</p></article><p>" + b"most of it " * 9,
            "a\n\nshort\n\n" + "most of it " * 9,
        ),
        (b"<p>menu</p><article>" + b"most of it " * 9 + b"</article>", "most of it " * 9),
        (b"<p>a<main> </main><p>b", "a\n\nb"),
        (b"<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        (b"<form><p>ASP.NET puts everything in a form</p></form>", "ASP.NET puts everything in a form"),
        (b"<h1></h1><p>x", "x"),
        (b"just text &lt;b&gt;", "just text <b>"),
        (
            b'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><p>x</p></html>',
            "x",
        ),
        (b"<p>x" * 3, "x\n\nx\n\nx"),
    ],
)
def test_html_as_it_is_found(html: bytes, text: str) -> None:
    assert parse("a.html", html).text == text.strip()


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("iso-8859-1", "cp1252"),
        ("shift_jis", "shift_jis"),
        ("utf-16", "utf-8"),
        ("x", "utf-8"),
    ],
)
def test_html_declares_its_encoding(charset: str, encoding: str) -> None:
    text = "こんにちは" if encoding == "shift_jis" else "naïve “quotes”"
    source = (
        f'<html><head><meta http-equiv=Content-Type content="text/html; charset={charset}"></head><p>{text}'
    )
    assert parse("a.html", source.encode(encoding)).text == text


def nested(depth: int) -> bytes:
    return b"<div>" * depth + b"deep" + b"</div>" * depth + b"<p>after"


def test_deeply_nested_html_is_read_whole_or_refused() -> None:
    assert parse("a.html", nested(2_000)).text == "deep\n\nafter"
    with pytest.raises(Unparsable, match="too deeply"):
        parse("a.html", nested(3_000))


def test_pdf_text_and_pages(make_pdf: MakePdf) -> None:
    document = parse("a.pdf", make_pdf([["First page", "second line"], [], ["Third page"]]))
    assert document.text == "First page\nsecond line\n\nThird page"
    assert document.pages == (0, 24, 24)  # the second is empty
    assert document.text[document.pages[2] :] == "Third page"


def test_a_hyphen_at_the_end_of_a_line_is_not_one(make_pdf: MakePdf) -> None:
    document = parse("a.pdf", make_pdf([["a docu\xad", "ment"]]))
    assert document.text == "a document"


def test_too_many_pages(make_pdf: MakePdf) -> None:
    with pytest.raises(Unparsable, match="3 pages, more than 2") as caught:
        parse("a.pdf", make_pdf([["a"]] * 3), Limits(pages=2))
    assert caught.value.reason == "too_large"


def test_too_much_text(make_pdf: MakePdf) -> None:
    for name, data in {
        "a.txt": b"x" * 11,
        "a.html": b"<p>" + b"x" * 11,
        "a.pdf": make_pdf([["x" * 11]]),
    }.items():
        with pytest.raises(Unparsable, match="more than 10 characters") as caught:
            parse(name, data, Limits(characters=10))
        assert caught.value.reason == "too_large"


PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.mark.parametrize(
    ("name", "data", "reason", "words"),
    [
        ("a.txt", b"", "invalid", "is empty"),
        ("a.pdf", b"", "invalid", "is empty"),
        ("a.md", b" \r\n\t\xc2\xa0", "invalid", "no text"),
        ("a.txt", "\ufeff".encode(), "invalid", "no text"),
        ("a.html", b"<p> </p><script>x</script>", "invalid", "no text"),
        ("a.html", b"<!-- only -->", "invalid", "HTML|no text"),
        ("a.html", bytes(range(256)), "unsupported", "binary"),
        ("a.exe", b"MZ", "unsupported", r"'.exe': supported are .txt, .*\.pdf"),
        ("README", b"text", "unsupported", "no suffix: supported"),
        ("a.txt", PNG, "unsupported", "PNG"),
        ("a.md", b"%PDF-1.7 ...", "unsupported", "is a PDF, not markdown"),
        ("a.pdf", b"PK\x03\x04" + bytes(50), "unsupported", "ZIP"),
        ("a.pdf", b"this is not a PDF", "unsupported", "not a PDF"),
        ("a.pdf", b"<html>404</html>", "unsupported", "not a PDF"),
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<<", "invalid", "broken PDF"),
        ("a.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 40, "invalid", "broken PDF"),
    ],
)
def test_what_is_refused_and_why(name: str, data: bytes, reason: str, words: str) -> None:
    with pytest.raises(Unparsable, match=words) as caught:
        parse(name, data)
    assert caught.value.reason == reason


def test_an_encrypted_pdf(encrypted_pdf: bytes) -> None:
    with pytest.raises(Unparsable, match="encrypted"):
        parse("a.pdf", encrypted_pdf)


def test_a_pdf_without_text(make_pdf: MakePdf) -> None:
    with pytest.raises(Unparsable, match="OCR"):
        parse("scan.pdf", make_pdf([[], []]))


def test_a_pdf_with_a_damaged_table_is_repaired(make_pdf: MakePdf) -> None:
    data = make_pdf([["still here"]]).replace(b"startxref\n", b"startxref\n9")
    assert parse("a.pdf", data).text == "still here"


def test_every_cut_of_a_pdf_is_read_or_refused(make_pdf: MakePdf) -> None:
    data = make_pdf([["First"], ["Second"]])
    for length in range(1, len(data), 7):
        with suppress(Unparsable):  # and nothing else
            assert parse("a.pdf", data[:length]).text


@pytest.mark.soak
@settings(max_examples=rounds(37, 750), deadline=None)
@given(
    st.sampled_from([suffix for format_ in all_formats().values() for suffix in format_.suffixes]),
    st.binary(max_size=400),
)
def test_any_bytes_are_read_or_refused(suffix: str, data: bytes) -> None:
    with suppress(Unparsable):  # and nothing else
        assert parse("a" + suffix, data).text.strip()


def test_suffixes_are_told_whatever_their_case() -> None:
    assert parse("dir.pdf/A.TXT", b"x").text == "x"


def test_html_that_its_own_style_hides_is_left_out_and_words_stay_whole() -> None:
    page = (
        '<p>The mer&#8203;chant pays.</p><p style="color:red; DISPLAY : none">unseen</p>'
        '<div style="visibility:hidden">unseen <b>too</b></div><p style="display:block">shown</p>'
        "<table><tr><th>A</th><th>B</th></tr><tr><td>1<span style='display:none'>un<b>seen</b></span></td>"
        "<td rowspan=2>2</td></tr><tr><td>3</td></tr><tr style='display:none'><td>unseen</td></tr></table>"
    )
    text = parse("a.html", page.encode()).text
    assert text.startswith("The mer\u200bchant pays.\n\nshown\n\n| A | B |")
    assert "unseen" not in text
    assert "seen" not in text
    assert "too" not in text
