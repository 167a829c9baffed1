"""Shares: how they are read, and that a conversation keeps its entry. No luck is in it: the hash is fixed."""

from __future__ import annotations

import itertools
import math

import pytest

from pipelines.rag import Question
from services.core.wire.chat import ChatMessage
from services.core.wire.split import read_shares
from services.gateway.access.caller import ANYONE, Caller
from services.gateway.settings import Settings
from services.gateway.split.shares import choose_entry, identify_conversation

CONVERSATIONS = [f"conversation {number}" for number in range(10_000)]


@pytest.mark.parametrize(
    "text", ["large=10,other=2.5", " large = 10 , other=2.5% ", '{"large": 10, "other": 2.5}']
)
def test_shares_are_read(text: str) -> None:
    assert read_shares(text) == {"large": 10, "other": 2.5}
    assert Settings(split=text).split == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("large=60,other=50", "large=60, other=50: 110 is over 100"),
        ("large=-1", "large=-1: a share is a percentage"),
        ("large=101", "large=101: a share is a percentage"),
        ("large=nan", "large=nan: a share is a percentage"),
        ("large", "large=: write NAME=PERCENT"),
        ("large=much", "large=much: write NAME=PERCENT"),
        ("large=10,large=20", "large has two shares"),
        ("=10", "a share has no entry"),
        ("{large: 10}", "not a JSON object"),
    ],
)
def test_wrong_shares_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_shares(text)
    with pytest.raises(ValueError, match=said):
        Settings(split=text)


@pytest.mark.parametrize("share", [0, 1, 5, 10, 25, 50, 75, 99, 100])
def test_the_share_of_ten_thousand_conversations_is_within_binomial_bounds(share: int) -> None:
    count = sum(choose_entry({"large": share}, conversation) == "large" for conversation in CONVERSATIONS)
    expected = len(CONVERSATIONS) * share / 100
    deviation = math.sqrt(len(CONVERSATIONS) * share / 100 * (1 - share / 100))
    assert abs(count - expected) <= 3 * deviation, f"{count} of {expected}"


def test_two_entries_get_their_shares_and_no_conversation_has_two() -> None:
    chosen = [choose_entry({"large": 10, "other": 30}, conversation) for conversation in CONVERSATIONS]
    for name, share in {"large": 10, "other": 30, "": 60}.items():
        assert abs(chosen.count(name) / 100 - share) <= 3 * math.sqrt(
            share * (100 - share) / len(CONVERSATIONS)
        )


def test_a_conversation_stays_as_the_share_grows() -> None:
    steps = [
        {name for name in CONVERSATIONS if choose_entry({"large": share}, name)}
        for share in (0, 5, 25, 50, 100)
    ]
    assert all(before < after for before, after in itertools.pairwise(steps))
    assert steps[0] == set()
    assert steps[-1] == set(CONVERSATIONS)


def test_what_makes_a_conversation() -> None:
    first = Question(text="What do bees make?")
    turns = (ChatMessage(role="user", content=first.text), ChatMessage(role="assistant", content="Honey."))
    later = Question(text="And ants?", history=(ChatMessage(role="system", content="Be brief."), *turns))
    assert identify_conversation(first, ANYONE) == identify_conversation(later, ANYONE)
    assert identify_conversation(first, ANYONE) != identify_conversation(Question(text="And ants?"), ANYONE)

    other = Caller(id="k2", tenant="acme")
    assert identify_conversation(first, ANYONE) != identify_conversation(first, other)
    assert identify_conversation(first, ANYONE) != identify_conversation(first, ANYONE, user="ada")
    one, two = (identify_conversation(asked, ANYONE, header="c1") for asked in (first, Question(text="x")))
    assert one == two, "a header names the conversation whatever is said in it"
    assert one != identify_conversation(first, ANYONE, header="c2")
