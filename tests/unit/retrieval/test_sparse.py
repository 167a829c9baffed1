from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.sparse import K1, MAX_TERM_LENGTH, split_terms, term_id, weigh_passage, weigh_query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The flows of Flowing water", ["flow", "flow", "water"]),
        ("What is it?", []),
        ("Café CAFE cafe\u0301", ["cafe", "cafe", "cafe"]),
        ("Straße STRASSE", ["strass", "strass"]),
        ("snake_case and mach-2.5", ["snake", "case", "mach", "2", "5"]),
        ("the driver\u2019s log, the driver's log", ["driver", "log", "driver", "log"]),
        ("ﬁne x² ①", ["fine", "x2", "1"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("東京大学 no 木", ["東京", "京大", "大学", "木"]),
        ("iPhone用ケース", ["iphon", "用ケ", "ケー", "ース"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("", []),
    ],
)
def test_terms_are_folded_stemmed_and_without_stop_words(text, expected):
    assert split_terms(text) == expected


@given(st.text())
def test_any_text_has_terms_of_bounded_length_and_weights_below_bm25s_bound(text):
    assert all(0 < len(term) <= MAX_TERM_LENGTH for term in split_terms(text))
    weights = weigh_passage(text)
    # a query also has the parts of its identifiers, for indexes that have no keys
    assert set(weights) >= set(map(term_id, split_terms(text)))
    assert set(weigh_query(text)) >= set(map(term_id, split_terms(text)))
    assert all(0 <= term < 2**32 and 0 < weight < K1 + 1 for term, weight in weights.items())


def test_the_weights_are_bm25s():
    weights = weigh_passage("wing wing wing " + "filler " * 47)
    length = 1 - 0.75 + 0.75 * 50 / 100
    assert weights[term_id("wing")] == pytest.approx(3 * 2.2 / (3 + 1.2 * length))
    assert weigh_passage("wing")[term_id("wing")] > weigh_passage("wing " + "x " * 500)[term_id("wing")]


def test_a_terms_number_is_the_same_everywhere():
    assert [term_id(term) for term in ("wing", "flow")] == [3087140164, 1388369520]


def test_a_query_counts_a_term_as_often_as_it_is_said():
    assert weigh_query("wing wings of WING flow") == {term_id("wing"): 3.0, term_id("flow"): 1.0}
