"""Tokens to text, and stop strings, whatever the cuts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.generation.backends.openvino.model import split_text
from services.generation.text import Detokenizer, StopScanner


def decode(tokens: Sequence[int]) -> str:
    """Tokens are bytes: characters split anywhere. Like SentencePiece, the first token loses its space."""
    text = bytes(tokens).decode("utf-8", "replace")
    return text[1:] if text.startswith(" ") else text


@given(st.text(max_size=40), st.integers(1, 5))
def test_detokenizer_gives_the_text_in_whole_characters(text: str, step: int) -> None:
    text = "x" + text.replace("\N{REPLACEMENT CHARACTER}", "")
    tokens = text.encode()
    detokenizer = Detokenizer(decode)
    parts = [detokenizer.push(tokens[at : at + step]) for at in range(0, len(tokens), step)]
    assert all("\N{REPLACEMENT CHARACTER}" not in part for part in parts)
    assert "".join(parts) + detokenizer.flush() == text


def test_detokenizer_flushes_a_character_that_never_came_whole() -> None:
    detokenizer = Detokenizer(decode)
    assert detokenizer.push(b"a\xe8") == ""
    assert detokenizer.flush() == "a\N{REPLACEMENT CHARACTER}"


@given(
    st.text("abc", max_size=30),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    st.integers(1, 4),
)
def test_scanner_ends_at_the_first_stop_string(text: str, stops: list[str], step: int) -> None:
    scanner = StopScanner(stops)
    seen = ""
    for at in range(0, len(text), step):
        seen += scanner.push(text[at : at + step])
        if scanner.stopped:
            break
    found = [text.index(stop) for stop in stops if stop in text]
    if not scanner.stopped:
        assert not found
        assert seen + scanner.flush() == text
    else:
        assert found
        assert all(stop not in seen for stop in stops)
        assert text.startswith(seen)
        assert any(text.startswith(stop, len(seen)) for stop in stops)


def test_scanner_holds_back_only_what_may_become_a_stop() -> None:
    scanner = StopScanner(["</think>", "END"])
    assert scanner.push("so E") == "so "
    assert scanner.push("N") == ""
    assert scanner.push("T </") == "ENT "
    assert scanner.push("b>") == "</b>"
    assert scanner.push("x END y") == "x "
    assert scanner.stopped
    assert scanner.push("more") == ""


@given(st.text(" ab<|é\n", max_size=300), st.integers(5, 40))
def test_pieces_are_the_text_and_never_too_long(text: str, size: int) -> None:
    parts = split_text(text, size)
    assert "".join(parts) == text
    assert all(len(part) <= size for part in parts)


def test_pieces_break_before_the_space_of_a_word_and_never_inside_a_marker() -> None:
    assert split_text("one two three four", 10) == ["one two", " three", " four"]
    assert split_text("x" * 30 + "<|im_end|>", 35) == ["x" * 30, "<|im_end|>"]
