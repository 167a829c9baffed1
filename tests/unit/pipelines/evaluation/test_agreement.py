"""Agreement, flips and position bias, by hand."""

from __future__ import annotations

import pytest

from pipelines.evaluation.statistics.agreement import (
    CountedShare,
    agreement,
    cohens_kappa,
    consistent_winner,
    first_shown_rate,
    flip_rate,
)


def test_kappa_by_hand() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: p_o 0.7, p_e (25 * 30 + 25 * 20) / 2500 = 0.5
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert agreement(pairs) == CountedShare(35, 50)
    assert cohens_kappa(pairs) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([], None),
        ([("a", "a"), ("a", "a")], None),
        ([("a", "a"), ("b", "b")], 1.0),
        ([("a", "b"), ("b", "a")], -1.0),
        ([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")], 0.0),
        ([("a", "b"), ("a", "b")], 0.0),
    ],
)
def test_kappa_at_its_ends(pairs: list[tuple[str, str]], kappa: float | None) -> None:
    assert cohens_kappa(pairs) == (None if kappa is None else pytest.approx(kappa))


def test_flips_count_where_both_orders_have_a_verdict() -> None:
    pairs = [("one", "one"), ("one", "other"), ("tie", "one"), ("tie", "tie"), (None, "one")]
    assert flip_rate(pairs) == CountedShare(2, 4)
    assert flip_rate([]).share is None
    assert flip_rate([]).interval is None


def test_a_judge_that_takes_the_first_is_seen() -> None:
    # shown first: `one`, then `other`
    assert first_shown_rate([("one", "other")] * 4) == CountedShare(8, 8)
    assert first_shown_rate([("other", "one")] * 4) == CountedShare(0, 8)
    assert first_shown_rate([("one", "one"), ("tie", None)]) == CountedShare(1, 2)


def test_a_winner_wins_in_both_orders() -> None:
    assert consistent_winner(("one", "one")) == "one"
    assert consistent_winner(("one", "other")) == "tie"
    assert consistent_winner(("one", None)) is None


def test_the_interval_is_wilsons() -> None:
    low, high = CountedShare(5, 10).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.2366, 0.7634)
