"""The language of short texts."""

from __future__ import annotations

import pytest

from services.retrieval.language import _load_identifier, detect_language, load, must_load


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the torque of PPR-9087?", "en"),
        ("When was the water connection fee raised?", "en"),
        ("How does the lamp in Beyonc\u00e9's house work?", "en"),
        ("Was kostet der Wasseranschluss?", "de"),
        ("Wie hoch ist das Drehmoment von PPR-9087?", "de"),
        ("Quel est le couple de serrage de la vis ?", "fr"),
        ("\u00bfCu\u00e1nto cuesta la conexi\u00f3n de agua?", "es"),
        ("\u6c34\u9053\u306e\u63a5\u7d9a\u6599\u306f\u3044\u304f\u3089\u3067\u3059\u304b\u3002", "ja"),
        ("\u81ea\u6765\u6c34\u63a5\u5165\u8d39\u662f\u591a\u5c11\uff1f", "zh"),
        ("Kuinka suuri on vesiliittym\u00e4n maksu?", "fi"),
        ("E-4711", None),
        ("C++", None),
        ("v2.3.10", None),
        ("", None),
    ],
)
def test_the_language_of_a_question(text, language):
    assert detect_language(text) == language


def test_the_model_is_loaded_where_a_question_needs_it_and_once() -> None:
    _load_identifier.cache_clear()
    assert not must_load("What is the torque of PPR-9087?", ["en"])
    assert not must_load("Was kostet der Wasseranschluss?", [])
    assert must_load("Was kostet der Wasseranschluss?", ["en"])
    load()
    assert not must_load("Was kostet der Wasseranschluss?", ["en"])
