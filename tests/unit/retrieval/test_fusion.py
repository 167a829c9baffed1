from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.fusion import fuse_ranks, fuse_scores, rescale, select_diverse, standardise

scores = st.dictionaries(st.text(max_size=3), st.floats(-100, 100), max_size=8)


def test_reciprocal_ranks_add_up():
    fused = fuse_ranks([["a", "b"], ["b", "c"]], k=60)
    assert fused == {"a": 1 / 61, "b": pytest.approx(1 / 62 + 1 / 61), "c": 1 / 62}
    assert max(fuse_ranks([["a", "b"], ["b", "c"]], k=1).items(), key=lambda item: item[1])[0] == "b"


def test_weighted_standardises_over_the_union_and_a_term_not_found_counts_zero():
    fused = fuse_scores({"a": 0.9, "b": 0.5, "c": 0.1}, {"c": 8.0, "b": 2.0}, dense_weight=0.5)
    dense, sparse = standardise([0.9, 0.5, 0.1]), standardise([0.0, 2.0, 8.0])
    assert list(fused.values()) == pytest.approx([(d + s) / 2 for d, s in zip(dense, sparse, strict=True)])


@given(dense=scores, sparse=scores, weight=st.floats(0, 1))
def test_the_weights_ends_are_the_sides_and_every_candidate_is_fused(dense, sparse, weight):
    assert set(fuse_scores(dense, sparse, dense_weight=weight)) == set(dense) | set(sparse)
    by_dense = fuse_scores(dense, {}, dense_weight=1)
    assert all(by_dense[a] <= by_dense[b] for a in dense for b in dense if dense[a] < dense[b] - 1e-6)


def test_scores_that_do_not_differ_say_nothing():
    assert standardise([3.0, 3.0]) == [0.0, 0.0]
    assert standardise([]) == []
    assert fuse_scores({"a": 0.5, "b": 0.5}, {"b": 1.0}, dense_weight=0.7)["b"] > 0
    assert rescale({"a": 2.0}, low=0, high=0.5) == {"a": 0.5}
    assert rescale({"a": -2.0, "b": 0.0, "c": 2.0}, low=0.2, high=0.6) == pytest.approx(
        {"a": 0.2, "b": 0.4, "c": 0.6}
    )


def unit(*parts: float) -> np.ndarray:
    vector = np.array(parts, np.float32)
    return vector / np.linalg.norm(vector)


VECTORS = {"a": unit(1, 0.1), "twin": unit(1, 0.11), "b": unit(0.6, -0.8), "far": unit(0, 1)}
RELEVANCE = {"a": 0.9, "twin": 0.89, "b": 0.6, "far": 0.1}


def test_a_twin_of_what_was_chosen_comes_later_the_less_relevance_weighs():
    assert select_diverse(RELEVANCE, VECTORS, k=4, weight=1) == ["a", "twin", "b", "far"]
    assert select_diverse(RELEVANCE, VECTORS, k=3, weight=0.6) == ["a", "b", "twin"]
    assert select_diverse(RELEVANCE, VECTORS, k=2, weight=0.1) == ["a", "far"]


def test_each_choice_is_the_best_of_what_is_left():
    rng = np.random.default_rng(5)
    vectors = {f"p{i}": unit(*rng.standard_normal(6)) for i in range(30)}
    relevance = {id_: float(rng.random()) for id_ in vectors}
    chosen = select_diverse(relevance, vectors, k=10, weight=0.4)
    for at, id_ in enumerate(chosen):

        def value(each: str, before=tuple(chosen[:at])) -> float:
            likeness = max((float(vectors[each] @ vectors[other]) for other in before), default=0.0)
            return 0.4 * relevance[each] - 0.6 * likeness

        assert value(id_) >= max(value(each) for each in vectors if each not in chosen[:at]) - 1e-6


def test_a_passage_without_a_vector_is_like_nothing_and_no_candidates_are_no_passages():
    assert select_diverse({"a": 0.5, "x": 0.4}, {"a": unit(1, 0)}, k=5, weight=0.5) == ["a", "x"]
    assert select_diverse({"a": 0.5}, {}, k=5, weight=0.5) == ["a"]
    assert select_diverse({}, {}, k=5, weight=0.5) == []
