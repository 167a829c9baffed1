from __future__ import annotations

import pytest

from pipelines.guarding import LONGEST_HELD, split_whole
from services.core.errors import RaglineError, ServiceError
from services.core.guards.backends.openai import read_verdict
from services.core.guards.backends.patterns import read_patterns
from services.core.guards.guard import OVERLAP, WINDOW, split_windows


@pytest.mark.parametrize(
    ("text", "whole", "rest"),
    [
        ("Bees make honey. Ants", "Bees make honey. ", "Ants"),
        ("Bees make honey.", "", "Bees make honey."),
        ("", "", ""),
        ('He said "no." Then', 'He said "no." ', "Then"),
        ("one\ntwo", "one\n", "two"),
        ("\u871c\u8702\u91c7\u871c\u3002\u8682", "\u871c\u8702\u91c7\u871c\u3002", "\u8682"),
        ("3.5 grams", "", "3.5 grams"),
    ],
)
def test_a_text_is_split_behind_its_last_whole_sentence(text: str, whole: str, rest: str) -> None:
    assert split_whole(text) == (whole, rest)


def test_what_has_no_end_is_not_held_for_ever() -> None:
    words = "word " * (LONGEST_HELD // 4)
    whole, rest = split_whole(words + "half")
    assert (whole, rest) == (words, "half")
    solid = "x" * (LONGEST_HELD + 1)
    assert split_whole(solid) == (solid, "")


@pytest.mark.parametrize("length", [0, 1, WINDOW, WINDOW + 1, 3 * WINDOW])
def test_windows_cover_a_text_and_overlap(length: int) -> None:
    text = "".join(chr(ord("a") + place % 26) for place in range(length))
    windows = list(split_windows(text))
    assert all(len(window) <= WINDOW for window in windows)
    assert windows[0] + "".join(window[OVERLAP:] for window in windows[1:]) == text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("safe", ""),
        ("\n\nsafe\n", ""),
        ("unsafe\nS1,S10", "unsafe, S1, S10"),
        ("No", ""),
        ("Yes", "unsafe"),
        ("<score> yes </score>", "unsafe"),
        ("<think></think>\n<score>no</score>", ""),
    ],
)
def test_verdicts_of_guard_models(reply: str, reason: str) -> None:
    assert read_verdict(reply) == reason


@pytest.mark.parametrize("reply", ["", "I cannot tell", "42", "notsafe"])
def test_what_is_no_verdict_is_an_error(reply: str) -> None:
    with pytest.raises(ServiceError, match="no verdict"):
        read_verdict(reply)


def test_patterns(tmp_path: object) -> None:
    path = tmp_path / "guard.txt"  # type: ignore[operator]
    path.write_text("# a comment\n\nignore (all|previous) instructions\n\\bsecret\\b\n")
    assert [line for line, _ in read_patterns(path)] == [3, 4]
    path.write_text("(")
    with pytest.raises(RaglineError, match="line 1 of"):
        read_patterns(path)
    path.write_text("# nothing\n")
    with pytest.raises(RaglineError, match="has no expression"):
        read_patterns(path)
    with pytest.raises(RaglineError, match="cannot be read"):
        read_patterns(path.with_name("missing"))
