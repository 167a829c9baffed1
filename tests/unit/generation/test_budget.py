"""Budgets as numbers: what a request says, what it leaves to the answer, how it can be held."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.core.wire.chat import ChatMessage, ChatRequest
from services.generation.backend import Capabilities, TokenCounts
from services.generation.reasoning.budget import (
    EFFORT,
    RESERVE,
    Estimate,
    Limits,
    TokenTally,
    choose_method,
    decide_limits,
)
from services.generation.reasoning.profiles import PROFILES

R1, INSTRUCT, UNKNOWN = PROFILES["deepseek-r1"], PROFILES["none"], PROFILES["unknown"]


def request(**fields: object) -> ChatRequest:
    return ChatRequest(messages=[ChatMessage(role="user", content="q")], **fields)  # type: ignore[arg-type]


def of(profile=R1, **fields: object) -> Limits:
    return decide_limits(request(**fields), profile, answer=512, thinking=2048)


def test_without_a_word_thinking_comes_on_top_of_the_answer() -> None:
    assert of() == Limits(thinking=2048, total=2560, answer=512)


def test_of_an_unknown_model_nothing_is_set_aside() -> None:
    assert of(UNKNOWN) == Limits(thinking=2048, total=512, answer=512)
    assert of(UNKNOWN, max_reasoning_tokens=64) == Limits(64, 576, 512, asked=True)


def test_a_model_that_does_not_think_has_no_budget() -> None:
    assert of(INSTRUCT, max_reasoning_tokens=64) == Limits(0, 512, 512)


@pytest.mark.parametrize(("effort", "tokens"), EFFORT.items())
def test_effort_is_tokens(effort: str, tokens: int) -> None:
    assert of(reasoning_effort=effort) == Limits(tokens, 512 + tokens, 512, asked=True)


def test_the_number_counts_where_both_are_set() -> None:
    assert of(reasoning_effort="high", max_reasoning_tokens=3).thinking == 3


@pytest.mark.parametrize("total", [1, 2, 3, 64, 511, 512, 513, 4000])
def test_the_limit_of_a_request_leaves_room_for_an_answer(total: int) -> None:
    held = of(max_tokens=total, max_reasoning_tokens=100_000)
    assert held.total == held.answer == total
    assert held.total - held.thinking >= max(1, min(RESERVE, total // 2))


def test_bad_budgets_are_refused() -> None:
    for fields in ({"max_reasoning_tokens": -1}, {"reasoning_effort": "extreme"}):
        with pytest.raises(ValidationError):
            request(**fields)


def test_method_is_the_best_that_model_and_engine_allow() -> None:
    plain, turns, native = Capabilities(), Capabilities(continuation=True), Capabilities(native_budget=True)
    assert [choose_method(R1, can) for can in (plain, turns, native)] == ["reask", "close", "native"]
    assert [choose_method(PROFILES["prompted"], can) for can in (plain, turns, native)] == [
        "reask",
        "close",
        "reask",
    ]
    assert [choose_method(PROFILES["gpt-oss"], can) for can in (plain, turns, native)] == ["reask"] * 3
    assert choose_method(INSTRUCT, native) == "none"


def test_an_estimate_counts_deltas_or_bytes() -> None:
    few, many = Estimate(), Estimate()
    assert few.add("a" * 400) == 100
    assert [many.add("a") for _ in range(3)] == [1, 2, 3]


def test_tally_adds_up_and_reads_the_prompt_once() -> None:
    tally = TokenTally()
    tally.begin()
    tally.end(TokenCounts(10, 64), thinking=True)
    tally.begin()
    tally.end(TokenCounts(80, 7), thinking=False)
    assert tally.counts(thought=True) == TokenCounts(10, 71, 64)


def test_tally_says_what_it_does_not_know() -> None:
    tally = TokenTally()
    assert tally.counts(thought=False) is None
    tally.begin()  # and broken off
    tally.begin()
    tally.end(TokenCounts(10, 7), thinking=False)
    assert tally.counts(thought=True) == TokenCounts(10, 7, None)
    single = TokenTally()
    single.begin()
    single.end(TokenCounts(10, 7), thinking=False)
    assert single.counts(thought=True) == TokenCounts(10, 7, None)
    assert single.counts(thought=False) == TokenCounts(10, 7, 0)
