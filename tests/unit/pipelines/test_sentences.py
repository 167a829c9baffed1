from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sentences import content_words, numbers, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It is 3.5 kg, e.g. A brick. It sinks.", ["It is 3.5 kg, e.g. A brick.", "It sinks."]),
        ("Dr. Smith came. He left.", ["Dr. Smith came.", "He left."]),
        ("It boils at 100 °C. Air is thin.", ["It boils at 100 °C.", "Air is thin."]),
        ("It was J. Smith. He left.", ["It was J. Smith.", "He left."]),
        ("Water boils at 90 °C [1]. See [2].", ["Water boils at 90 °C [1].", "See [2]."]),
        ("Two ways:\n- by sea\n- by air", ["Two ways:", "- by sea", "- by air"]),
        ("A paragraph\n\nanother", ["A paragraph", "another"]),
        ("", []),
        ("   \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [span.text for span in sentences(text)] == expected


@given(st.text())
def test_spans_are_of_the_text_and_lose_nothing(text: str) -> None:
    spans = sentences(text)
    assert all(text[span.start : span.end] == span.text and span.text.strip() == span.text for span in spans)
    assert "".join(span.text for span in spans).split() == text.split() or "".join(
        "".join(span.text.split()) for span in spans
    ) == "".join(text.split())


def test_content_words_forget_endings_and_stop_words() -> None:
    assert content_words("The bricks are floating") == content_words("brick floats")


def test_numbers_lose_their_separators() -> None:
    assert numbers("1,900 kg at 3.5 in 2016") == {"1900", "3.5", "2016"}
