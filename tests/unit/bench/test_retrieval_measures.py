"""The benchmark's measures against values worked out by hand, and its sets against what is known of them."""

from __future__ import annotations

from math import log2
from pathlib import Path

import pytest

from pipelines.evaluation.metrics.ranking import ndcg, recall, reciprocal_rank
from tests.bench.paired_bootstrap import paired_difference
from tests.bench.retrieval_sets import champ, cranfield, squad

RANKING = ["c", "a", "x", "b"]


def test_ndcg_discounts_by_rank_and_compares_with_the_ideal_order() -> None:
    gains = {"a": 3.0, "b": 1.0, "d": 2.0}
    ideal = 3 + 2 / log2(3) + 1 / 2
    assert ndcg(RANKING, gains, 10) == pytest.approx((3 / log2(3) + 1 / log2(5)) / ideal)
    assert ndcg(RANKING, gains, 2) == pytest.approx((3 / log2(3)) / (3 + 2 / log2(3)))
    assert ndcg(["a", "d", "b"], gains, 10) == 1
    assert ndcg(RANKING, {}, 10) == 0


def test_recall_and_reciprocal_rank() -> None:
    assert recall(RANKING, {"a", "b"}, 2) == 0.5
    assert recall(RANKING, set(), 2) == 0
    assert reciprocal_rank(RANKING, {"b", "x"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(RANKING, {"y"}) == 0


def test_the_interval_is_of_paired_differences() -> None:
    baseline = [float(value % 7) for value in range(200)]
    better = [value + 0.1 for value in baseline]
    assert paired_difference(better, baseline, resamples=200) == pytest.approx((0.1, 0.1, 0.1))
    shuffled = [*better[100:], *better[:100]]
    found = paired_difference(shuffled, baseline, resamples=2000)
    assert found.low < found.mean < found.high
    assert found.low < 0 < found.high  # pairing is lost, and with it the certainty
    assert found.mean == pytest.approx(0.1)


def test_the_sets_are_what_is_known_of_them(evaluation_data: Path) -> None:
    cran, contexts, maths = cranfield(evaluation_data), squad(evaluation_data), champ(evaluation_data)
    assert (len(cran.documents), len(cran.queries)) == (1400, 225)
    # the qrels name queries by position: the third one, numbered 4 in its file, is about composite slabs
    assert "composite slabs" in cran.queries["3"]
    assert "slab" in cran.documents[next(iter(cran.relevant["3"]))].text
    assert sum(map(len, cran.relevant.values())) == 128 + 387 + 734 + 363
    assert all(cran.relevant.values())
    assert (len(contexts.documents), len(contexts.queries)) == (411, 242)
    assert (len(maths.documents), len(maths.queries)) == (89 + 456, 270)
    for each in (cran, contexts, maths):
        assert {item for gains in each.relevant.values() for item in gains} <= set(each.documents)
