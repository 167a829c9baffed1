"""The one normal form that texts are compared in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.text import locate_normalised, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wasser\u00adanschluss", "Wasseranschluss"),
        ("mer\u200bchant", "merchant"),
        ("o\ufb03ce e\ufb03ciency \ufb01gure", "office efficiency figure"),
        ("PPR\u20109087 PPR\u20119087 PPR\u20139087 PPR\u22129087 PPR\uff0d9087", " ".join(["PPR-9087"] * 5)),
        ("\uff30\uff30\uff32\uff19", "PPR9"),
        ("a\u2060b\ufeffc\u200ed\ufe0f", "abcd"),
        ("35\u00a0Nm", "35 Nm"),
        ("one \u2014 two", "one \u2014 two"),
        ("Caf\u00e9 cafe\u0301", "Caf\u00e9 caf\u00e9"),
        ("line one\nline\ttwo", "line one\nline\ttwo"),
        ("x\u00b2 \u2460 \u33a1", "x2 1 m2"),
    ],
)
def test_what_nobody_sees_makes_no_difference(text, expected):
    assert normalise(text) == expected


@given(st.text())
def test_it_is_stable(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_stays(text):
    assert normalise(text) == text


@pytest.mark.parametrize(
    "text", ["abc", "a\u00adb", "\ufb03x", "\u3314y", "e\u0301z", "\u0301a", "", "\u00bd cup"]
)
def test_every_character_of_the_normal_form_has_a_place(text: str) -> None:
    places = locate_normalised(text)
    assert len(places) == len(normalise(text))
    assert places == sorted(places)
    assert all(0 <= place < len(text) for place in places)
