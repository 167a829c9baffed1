from __future__ import annotations

import numpy as np

from services.retrieval.mmr import diverse


def unit(*parts: float) -> np.ndarray:
    vector = np.array(parts, np.float32)
    return vector / np.linalg.norm(vector)


VECTORS = {"a": unit(1, 0.1), "twin": unit(1, 0.11), "b": unit(0.6, -0.8), "far": unit(0, 1)}
RELEVANCE = {"a": 0.9, "twin": 0.89, "b": 0.6, "far": 0.1}


def test_a_twin_of_what_was_chosen_comes_later_the_less_relevance_weighs():
    assert diverse(RELEVANCE, VECTORS, k=4, weight=1) == ["a", "twin", "b", "far"]
    assert diverse(RELEVANCE, VECTORS, k=3, weight=0.6) == ["a", "b", "twin"]
    assert diverse(RELEVANCE, VECTORS, k=2, weight=0.1) == ["a", "far"]


def test_each_choice_is_the_best_of_what_is_left():
    rng = np.random.default_rng(5)
    vectors = {f"p{i}": unit(*rng.standard_normal(6)) for i in range(30)}
    relevance = {id_: float(rng.random()) for id_ in vectors}
    chosen = diverse(relevance, vectors, k=10, weight=0.4)
    for at, id_ in enumerate(chosen):

        def value(each: str, before=tuple(chosen[:at])) -> float:
            likeness = max((float(vectors[each] @ vectors[other]) for other in before), default=0.0)
            return 0.4 * relevance[each] - 0.6 * likeness

        assert value(id_) >= max(value(each) for each in vectors if each not in chosen[:at]) - 1e-6


def test_a_passage_without_a_vector_is_like_nothing_and_no_candidates_are_no_passages():
    assert diverse({"a": 0.5, "x": 0.4}, {"a": unit(1, 0)}, k=5, weight=0.5) == ["a", "x"]
    assert diverse({"a": 0.5}, {}, k=5, weight=0.5) == ["a"]
    assert diverse({}, {}, k=5, weight=0.5) == []
