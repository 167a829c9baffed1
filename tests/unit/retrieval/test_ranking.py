"""From a request and what the store found to the reply: modes, thresholds, fusion, OPEA's fields."""

from __future__ import annotations

import numpy as np
import pytest

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage
from services.core.wire.retrieval import RetrievalRequest
from services.retrieval.backend import Candidates
from services.retrieval.ranking import plan_search, rank
from services.retrieval.settings import Settings

SETTINGS = Settings(mode="hybrid", fusion="weighted", dense_weight=0.7, rrf_k=60, pool=50)


def passage(id_: str, score: float | None, sparse_score: float | None = None) -> Passage:
    return Passage(id=id_, document_id="d", text=id_, score=score, sparse_score=sparse_score)


FOUND = Candidates(
    dense=[passage("a", 0.9), passage("b", 0.7), passage("c", 0.2)],
    sparse=[passage("s", 0.4, 9.0), passage("b", 0.7, 5.0), passage("c", 0.2, 1.0)],
    vectors={id_: np.eye(4, dtype=np.float32)[at] for at, id_ in enumerate("abcs")},
)


def made(**fields: object):
    return plan_search(
        RetrievalRequest.model_validate({"text": "why", "embedding": [1.0], "k": 3, **fields}), SETTINGS
    )


def ids(found: Candidates = FOUND, **fields: object) -> list[str]:
    return [each.id for each in rank(found, made(**fields))[0]]


def test_each_mode_orders_by_its_own_score_and_keeps_the_others():
    found, _ = rank(FOUND, made(k=4))
    assert {each.id: (each.score, each.sparse_score) for each in found} == {
        "a": (0.9, None),
        "b": (0.7, 5.0),
        "c": (0.2, 1.0),
        "s": (0.4, 9.0),
    }
    fused = [each.fused_score for each in found]
    assert fused == sorted(fused, reverse=True)
    assert ids(k=4, dense_weight=1) == ["a", "b", "s", "c"]
    assert ids(k=4, dense_weight=0) == ["s", "b", "c", "a"]
    assert ids(fusion="rrf", k=2) == ["b", "c"]
    assert ids(Candidates(FOUND.dense), mode="dense") == ["a", "b", "c"]
    (best, *_), _ = rank(Candidates((), FOUND.sparse), made(mode="sparse"))
    assert (best.id, best.score, best.fused_score) == ("s", 0.4, None)


def test_rrfs_k_is_the_requests():
    (top, *_), _ = rank(FOUND, made(fusion="rrf", rrf_k=1))
    assert (top.id, top.fused_score) == ("b", pytest.approx(1 / 3 + 1 / 3))


def test_a_threshold_is_on_the_cosine_in_every_mode():
    assert set(ids(score_threshold=0.4, k=9)) == {"a", "b", "s"}
    assert ids(Candidates((), FOUND.sparse), mode="sparse", score_threshold=0.5) == ["b"]
    assert ids(distance_threshold=0.2, k=9) == ["a"]
    assert ids(score_threshold=0.95) == []


@pytest.mark.parametrize(
    ("fields", "threshold", "mmr", "pool"),
    [
        ({}, None, None, 50),
        ({"k": 80}, None, None, 80),
        ({"score_threshold": 0.2}, 0.2, None, 50),
        ({"search_type": "similarity", "score_threshold": 0.2}, None, None, 50),
        ({"search_type": "similarity_score_threshold", "score_threshold": 0.2}, 0.2, None, 50),
        ({"search_type": "similarity_distance_threshold", "distance_threshold": 0.25}, 0.75, None, 50),
        ({"search_type": "mmr", "fetch_k": 20, "lambda_mult": 0.3, "score_threshold": 0.2}, None, 0.3, 20),
        ({"mmr_lambda": 0.6}, None, 0.6, 50),
        ({"mode": "dense"}, None, None, 3),
        ({"text": ""}, None, None, 3),
    ],
)
def test_opeas_fields_and_ours_become_one_plan(fields, threshold, mmr, pool):
    todo = made(**fields)
    assert (todo.threshold, todo.mmr_weight, todo.query.k) == (threshold, mmr, pool)
    assert todo.query.with_vectors is (mmr is not None)


def test_without_text_a_search_is_dense():
    assert (made(text=" ").mode, made(text="").query.text) == ("dense", "")
    assert made(mode="dense").query.text == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"embedding": None}, "embedding: missing"),
        ({"embedding": None, "mode": "sparse", "score_threshold": 0.1}, "threshold"),
        ({"mode": "sparse", "text": ""}, "text: missing"),
    ],
)
def test_what_a_mode_needs_is_asked_for(fields, says):
    with pytest.raises(InvalidRequest, match=says):
        made(**fields)


def test_sparse_alone_needs_no_embedding():
    todo = made(embedding=None, mode="sparse")
    (only,), _ = rank(Candidates((), [passage("s", None, 2.0)]), todo)
    assert (only.id, only.score, only.sparse_score) == ("s", None, 2.0)


def test_diversity_chooses_from_the_pool_by_the_order_of_the_mode():
    twins = {**FOUND.vectors, "b": FOUND.vectors["a"]}
    found = Candidates(FOUND.dense, FOUND.sparse, twins)
    assert ids(found, mmr_lambda=1, k=4) == ids(k=4)
    first, *rest = ids(found, mmr_lambda=0.3, k=4)
    assert rest.index("b" if first == "a" else "a") == 2
