"""Votes are counted for each pair of arms, and people, not votes, carry the interval."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from pipelines.evaluation.votes import summarise
from services.core.wire.feedback import Feedback

_IDS = count()


def vote(arms: str, choice: str | int, person: str = "", *, blind: bool = False) -> Feedback:
    return Feedback.model_validate(
        {
            "id": str(next(_IDS)),
            "at": datetime.now(UTC),
            "question": "q",
            "answers": [{"arm": arm} for arm in arms],
            "choice": choice,
            "person": person,
            "blind": blind,
        }
    )


def test_a_win_is_the_arms_whatever_the_order_it_was_shown_in() -> None:
    votes = summarise(
        [
            vote("ab", 0, "p"),
            vote("ba", 1, "q"),
            vote("ab", 1, "r"),
            vote("ab", "both"),
            vote("ba", "neither"),
        ]
    )
    (duel,) = votes.duels
    assert (duel.one, duel.other, duel.won, duel.lost, duel.both, duel.neither) == ("a", "b", 2, 1, 1, 1)
    assert duel.preferred is not None
    assert duel.preferred.value == 2 / 3
    assert duel.preferred.people == 3


def test_of_several_arms_the_best_beats_each_and_the_others_do_not_meet() -> None:
    votes = summarise([vote("abc", 1, "p", blind=True)])
    results = {(duel.one, duel.other): (duel.won, duel.lost, duel.blind) for duel in votes.duels}
    assert results == {("a", "b"): (0, 1, 1), ("b", "c"): (1, 0, 1)}


def test_an_arm_does_not_meet_itself() -> None:
    assert summarise([vote("aa", 0, "p")]).duels == []


def test_one_person_gives_no_interval_and_many_votes_of_few_give_a_wide_one() -> None:
    one = summarise([vote("ab", 0, "p") for _ in range(50)]).duels[0].preferred
    assert one is not None
    assert one.interval is None
    few = (
        summarise([vote("ab", int(person == "q"), person) for person in "pqr" for _ in range(20)])
        .duels[0]
        .preferred
    )
    many = (
        summarise([vote("ab", int(number % 3 == 0), f"p{number}") for number in range(60)]).duels[0].preferred
    )
    assert few is not None
    assert many is not None
    assert few.interval is not None
    assert many.interval is not None
    assert few.interval[1] - few.interval[0] > 2 * (many.interval[1] - many.interval[0])


def test_thumbs_are_shares_of_an_arm() -> None:
    votes = summarise([vote("a", "up", "p"), vote("a", "down", "q"), vote("b", "up", "p")])
    assert {arm: (share.value, share.n) for arm, share in votes.thumbs.items()} == {
        "a": (0.5, 2),
        "b": (1.0, 1),
    }
    assert votes.duels == []
