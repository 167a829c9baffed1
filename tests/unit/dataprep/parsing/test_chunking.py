"""Chunks are exact spans that cover everything, whatever the text."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dataprep.parsing.chunking import Chunk, Chunking, chunk
from services.dataprep.parsing.document import ParsedDocument, Section
from services.dataprep.parsing.registry import parse
from tests.soak import rounds

WORDS = st.sampled_from(
    ["a", "word", "Sentence.", "Really?!", "x" * 40, "naïve", "日本語。", "🙂", "1.5", "\u00a0", "…"]
)
GAPS = st.sampled_from(
    [" ", "  ", "\n", "\n\n", "\r\n", "\r\n \r\n", "\t", "\u2028", "", "\n \n\n", " " * 70]
)
TEXTS = st.one_of(
    st.lists(st.tuples(WORDS, GAPS), max_size=120).map(lambda pairs: "".join(w + g for w, g in pairs)),
    st.text(max_size=600),
    st.tuples(st.text(max_size=6), st.integers(1, 200)).map(lambda pair: pair[0] * pair[1]),
)


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Random text, with random headings and page breaks anywhere in it."""
    text = draw(TEXTS)
    at = st.lists(st.integers(0, len(text)), max_size=6, unique=True).map(sorted)
    paths = st.lists(st.sampled_from(["A", "B"]), min_size=1, max_size=3).map(tuple)
    sections = []
    starts = draw(at)
    for start, end in pairwise([*starts, len(text)]):
        body = draw(st.integers(start, end))
        if text[start:body].strip():  # a heading has a title
            sections.append(Section(start, body, draw(paths)))
    pages = tuple(sorted({0, *draw(at)})) if draw(st.booleans()) else ()
    return ParsedDocument(text, tuple(sections), pages)


@st.composite
def chunkings(draw: st.DrawFn) -> Chunking:
    size = draw(st.integers(2, 120))
    return Chunking(size, draw(st.integers(0, size // 2)))


@pytest.mark.soak
@settings(max_examples=rounds(100, 2000), deadline=None)
@given(documents(), chunkings())
def test_chunks_are_exact_cover_everything_and_fit(document: ParsedDocument, chunking: Chunking) -> None:
    chunks = chunk(document, chunking)
    covered: set[int] = set()
    for each in chunks:
        text = document.text[each.start : each.end]
        assert text.strip() == text
        assert 0 < len(text) <= chunking.size
        covered.update(range(each.start, each.end))
    blank = {at for at, character in enumerate(document.text) if character.isspace()}
    assert covered | blank == set(range(len(document.text)))


@pytest.mark.soak
@settings(max_examples=rounds(75, 1500), deadline=None)
@given(documents(), chunkings())
def test_chunks_stay_in_order_on_their_page_and_overlap_little(
    document: ParsedDocument, chunking: Chunking
) -> None:
    chunks = chunk(document, chunking)
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
        assert before.end - after.start <= chunking.overlap
    for each in chunks:
        first, last = (bisect_right(document.pages, at) for at in (each.start, each.end - 1))
        assert each.page == (first if document.pages else None)
        assert first == last


@pytest.mark.soak
@settings(max_examples=rounds(75, 1500), deadline=None)
@given(documents(), chunkings())
def test_a_chunk_bears_the_path_of_its_section(document: ParsedDocument, chunking: Chunking) -> None:
    for each in chunk(document, chunking):
        paths = [section.path for section in document.sections if section.start < each.end]
        path = paths[-1] if paths else ()
        # a heading that was handed down bears the path of the section it went to
        assert each.section == " > ".join(path) or (path and each.section.startswith(" > ".join([*path, ""])))


def test_small_and_blank_documents() -> None:
    assert chunk(ParsedDocument(""), Chunking()) == []
    assert chunk(ParsedDocument(" \n\t"), Chunking()) == []
    assert chunk(ParsedDocument("  a word \n"), Chunking()) == [Chunk(2, 8)]


def test_an_overlap_does_not_repeat_all_of_the_chunk_before_but_its_white_space() -> None:
    document = ParsedDocument("a\n\u00a0 word word ")
    assert chunk(document, Chunking(12, 5)) == [Chunk(0, 1), Chunk(4, 8), Chunk(9, 13)]


def test_a_long_path_loses_its_middle() -> None:
    path = tuple(f"{number} " + "x" * 60 for number in range(9))
    [only] = chunk(ParsedDocument("text", (Section(0, 0, path),)), Chunking())
    assert len(only.section) == 240
    assert only.section.startswith(path[0])
    assert only.section.endswith(path[-1])


def texts(document: ParsedDocument, chunking: Chunking) -> list[str]:
    return [document.text[each.start : each.end] for each in chunk(document, chunking)]


def test_sections_are_not_mixed_and_a_heading_goes_with_what_is_below_it() -> None:
    document = parse("a.md", b"intro\n\n# A\n\n## B\n\nbee\n\n## C\n\nsea\n\n# D\n\n# E\n\nend")
    assert texts(document, Chunking()) == ["intro", "# A\n\n## B\n\nbee", "## C\n\nsea", "# D", "# E\n\nend"]
    assert [each.section for each in chunk(document, Chunking())] == ["", "A > B", "A > C", "D", "E"]


def test_a_heading_stays_with_a_long_paragraph() -> None:
    document = parse("a.md", b"# Heading\n\n" + b"Many words in one paragraph. " * 20)
    first, *rest = texts(document, Chunking(100, 20))
    assert first.startswith("# Heading\n\nMany words")
    assert all(len(text) <= 100 for text in [first, *rest])


def test_paragraphs_then_sentences_are_kept_whole() -> None:
    document = ParsedDocument("One two three. Four five.\n\nSix seven eight. Nine ten.")
    assert texts(document, Chunking(30, 0)) == ["One two three. Four five.", "Six seven eight. Nine ten."]
    assert texts(document, Chunking(17, 0)) == [
        "One two three.",
        "Four five.",
        "Six seven eight.",
        "Nine ten.",
    ]


def test_an_overlap_begins_at_a_sentence() -> None:
    document = ParsedDocument("Alpha beta gamma delta. Short one. Epsilon zeta eta theta iota kappa.")
    first, second = texts(document, Chunking(55, 20))
    assert first == "Alpha beta gamma delta. Short one."
    assert second == "Short one. Epsilon zeta eta theta iota kappa."


def test_a_short_line_is_not_left_alone_before_a_long_paragraph() -> None:
    document = ParsedDocument("Note:\n\n" + "Something long follows here. " * 6)
    assert texts(document, Chunking(100, 0))[0].startswith("Note:\n\nSomething")


@pytest.mark.parametrize("unit", ["x", "x ", "\n", "ab.", "。"])
def test_long_runs_take_no_quadratic_time(unit: str) -> None:
    document = ParsedDocument(unit * 100_000 + "end")
    chunks = chunk(document, Chunking())
    assert chunks[-1].end == len(document.text)
