from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.reranking import scoring
from services.reranking.scoring import Part, best_cosines, blend, maxsim, sigmoid, standardise, token_weights

RANDOM = np.random.default_rng(11)


def unit(rows: int, dim: int = 32) -> NDArray[np.float32]:
    vectors = RANDOM.normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def int8(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.rint(vectors * 127).astype(np.int8)


def by_definition(query: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    return sum(max(float(q @ p) for p in passage) for q in query) / len(query)


@pytest.mark.parametrize("block_rows", [1, 20, 16384])
def test_maxsim_is_its_definition(monkeypatch: pytest.MonkeyPatch, block_rows: int) -> None:
    monkeypatch.setattr(scoring, "BLOCK_ROWS", block_rows)
    query = unit(5)
    passages = [unit(rows) for rows in (1, 7, 30, 2, 11)]
    expected = [by_definition(query, passage) for passage in passages]
    np.testing.assert_allclose(maxsim(query, passages), expected, atol=1e-6)
    np.testing.assert_allclose(maxsim(int8(query), [int8(one) for one in passages]), expected, atol=0.01)
    mixed = [int8(one) if index % 2 else one for index, one in enumerate(passages)]
    np.testing.assert_allclose(maxsim(query, mixed), expected, atol=0.01)


def test_a_passage_that_holds_the_query_scores_one() -> None:
    query = unit(4)
    scores = maxsim(query, [np.concatenate([unit(3), query]), unit(8)])
    assert scores[0] == pytest.approx(1, abs=1e-6)
    assert scores[1] < 0.9


def test_texts_without_tokens_score_zero_and_disturb_nobody() -> None:
    query, passage, empty = unit(3), unit(6), unit(0)
    alone = maxsim(query, [passage])[0]
    np.testing.assert_allclose(maxsim(query, [empty, passage, empty, passage]), [0, alone, 0, alone])
    assert maxsim(empty, [passage, passage]).tolist() == [0, 0]
    assert maxsim(query, [empty]).tolist() == [0]
    assert maxsim(query, []).tolist() == []


def test_standardized_scores_have_mean_0_and_deviation_1() -> None:
    z = standardise(RANDOM.normal(3, 7, 50))
    assert z.mean() == pytest.approx(0, abs=1e-12)
    assert z.std() == pytest.approx(1)
    assert not standardise(np.full(5, 0.3)).any()


def test_the_blend_weighs_both_sides() -> None:
    late, dense = np.array([0.9, 0.5, 0.1]), [0.1, 0.5, 0.9]
    np.testing.assert_allclose(blend(late, Part(dense, 1)), 0, atol=1e-12)
    assert blend(late, Part(dense, 0.5)).argmax() == 0
    assert blend(late, Part(dense, 2)).argmax() == 2


def test_a_third_score_of_another_unit_counts_by_its_weight() -> None:
    late, dense, sparse = np.array([0.9, 0.5, 0.1]), [0.9, 0.5, 0.1], [0.0, 0.0, 40.0]
    assert blend(late, Part(dense, 1), Part(sparse, 1)).argmax() == 0
    assert blend(late, Part(dense, 1), Part(sparse, 4)).argmax() == 2
    without = blend(late, Part(dense, 1))
    np.testing.assert_array_equal(blend(late, Part(dense, 1), Part(sparse, 0)), without)
    np.testing.assert_array_equal(blend(late, Part(dense, 1), Part([None] * 3, 4, absent=0)), without)


def test_what_the_sparse_search_did_not_find_counts_as_absent() -> None:
    late = np.array([0.3, 0.2, 0.4])
    np.testing.assert_array_equal(
        blend(late, Part([7.0, None, None], 1, absent=0)), blend(late, Part([7.0, 0.0, 0.0], 1))
    )


@pytest.mark.parametrize("dense", [[None, None, None], [0.5, None, 0.5]])
def test_without_all_dense_scores_maxsim_stands_alone(dense: list[float | None]) -> None:
    late = np.array([0.3, 0.2, 0.9])
    np.testing.assert_array_equal(blend(late, Part(dense, 1)), late)


def test_idf_counts_a_token_that_every_passage_has_for_less() -> None:
    query = unit(2)
    common, rare = query[:1], query[1:]
    passages = [np.concatenate([common, unit(5)]) for _ in range(5)]
    passages[3] = np.concatenate([unit(2), common, rare])
    weights = token_weights(best_cosines(query, passages), "idf")
    assert weights.sum() == pytest.approx(1)
    assert weights[0] < 0.15
    np.testing.assert_allclose(token_weights(best_cosines(query, passages), "uniform"), 0.5)
    spread = maxsim(query, passages, "idf")
    assert spread.argmax() == 3
    assert spread[3] == pytest.approx(1, abs=1e-6)
    assert maxsim(query, passages)[0] > spread[0]


@given(st.floats(-1e6, 1e6))
def test_sigmoid_is_monotone_and_between_0_and_1(score: float) -> None:
    assert 0 <= sigmoid(score) <= 1
    assert sigmoid(score) <= sigmoid(score + 1)
    if abs(score) < 30:
        assert sigmoid(score) == pytest.approx(1 / (1 + math.exp(-score)), rel=1e-9, abs=1e-15)
