from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.fusion import reciprocal_rank, rescaled, standardised, weighted

scores = st.dictionaries(st.text(max_size=3), st.floats(-100, 100), max_size=8)


def test_reciprocal_ranks_add_up():
    fused = reciprocal_rank([["a", "b"], ["b", "c"]], k=60)
    assert fused == {"a": 1 / 61, "b": pytest.approx(1 / 62 + 1 / 61), "c": 1 / 62}
    assert max(reciprocal_rank([["a", "b"], ["b", "c"]], k=1).items(), key=lambda item: item[1])[0] == "b"


def test_weighted_standardises_over_the_union_and_a_term_not_found_counts_zero():
    fused = weighted({"a": 0.9, "b": 0.5, "c": 0.1}, {"c": 8.0, "b": 2.0}, dense_weight=0.5)
    dense, sparse = standardised([0.9, 0.5, 0.1]), standardised([0.0, 2.0, 8.0])
    assert list(fused.values()) == pytest.approx([(d + s) / 2 for d, s in zip(dense, sparse, strict=True)])


@given(dense=scores, sparse=scores, weight=st.floats(0, 1))
def test_the_weights_ends_are_the_sides_and_every_candidate_is_fused(dense, sparse, weight):
    assert set(weighted(dense, sparse, dense_weight=weight)) == set(dense) | set(sparse)
    by_dense = weighted(dense, {}, dense_weight=1)
    assert all(by_dense[a] <= by_dense[b] for a in dense for b in dense if dense[a] < dense[b] - 1e-6)


def test_scores_that_do_not_differ_say_nothing():
    assert standardised([3.0, 3.0]) == [0.0, 0.0]
    assert standardised([]) == []
    assert weighted({"a": 0.5, "b": 0.5}, {"b": 1.0}, dense_weight=0.7)["b"] > 0
    assert rescaled({"a": 2.0}, low=0, high=0.5) == {"a": 0.5}
    assert rescaled({"a": -2.0, "b": 0.0, "c": 2.0}, low=0.2, high=0.6) == pytest.approx(
        {"a": 0.2, "b": 0.4, "c": 0.6}
    )
