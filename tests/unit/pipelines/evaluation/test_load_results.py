"""What the samples of a load run come to."""

from __future__ import annotations

import pytest

from pipelines.evaluation.load.records import LoadCell, Sample, Slo
from pipelines.evaluation.load.results import make_cell, make_verdicts, meets_slo, parse_slo
from services.core.errors import InvalidRequest

SLO = parse_slo("ttfo=5,e2el=20")


def sample(
    e2el: float | None, *, ttfo: float | None = 1000, tokens: int = 10, concurrency: int = 1, **said
) -> Sample:
    return Sample(
        arm="a",
        concurrency=concurrency,
        started=0,
        ended=1,
        ttft=ttfo,
        ttfo=ttfo,
        e2el=e2el,
        tokens=tokens,
        **said,
    )


def cells(*within: tuple[int, int, int]) -> list[LoadCell]:
    """(concurrency, good, bad)"""
    return [
        make_cell("a", at, [sample(10_000)] * good + [sample(30_000)] * bad, SLO, 10.0)
        for at, good, bad in within
    ]


def test_objectives_are_read_in_seconds() -> None:
    assert Slo(ttfo=5000, e2el=20000) == SLO
    assert str(SLO) == "TTFO <= 5 s, E2EL <= 20 s"
    assert parse_slo(" tpot=0.05 ") == Slo(tpot=50)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "FIGURE=SECONDS"),
        ("ttfo", "FIGURE=SECONDS"),
        ("speed=3", "ttft, ttfo, e2el, tpot"),
        ("ttfo=0", "FIGURE=SECONDS"),
        ("ttfo=-1", "FIGURE=SECONDS"),
        ("ttfo=1,ttfo=2", "twice"),
    ],
)
def test_objectives_that_are_none(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_slo(text)


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        (sample(20_000, ttfo=5000), True),
        (sample(20_001), False),
        (sample(10_000, ttfo=5001), False),
        (sample(10_000, ttfo=None), False),  # thought until the end: no answer token
        (sample(None, error="overloaded"), False),
        (sample(10_000, truncated=True), False),
        (sample(10_000, abstained=True), True),
    ],
)
def test_a_request_meets_its_objectives(asked: Sample, good: bool) -> None:
    assert meets_slo(asked, SLO) is good


def test_a_figure_that_an_answer_cannot_have_is_met() -> None:
    assert meets_slo(sample(1000, tokens=1), parse_slo("tpot=0.05"))
    assert not meets_slo(sample(1000, tpot=51), parse_slo("tpot=0.05"))


def test_a_cell_counts_rates_over_its_own_time() -> None:
    samples = [
        *[sample(10_000)] * 6,
        *[sample(30_000)] * 2,
        *[sample(None, ttfo=None, error="overloaded")] * 2,
    ]
    found = make_cell("a", 4, samples, SLO, 5.0)
    assert (found.requests, found.errors) == (10, {"overloaded": 2})
    assert (found.throughput, found.goodput, found.tokens_per_second) == (8 / 5, 6 / 5, 80 / 5)
    assert found.share_within_slo == 0.6
    assert found.share_low is not None
    assert found.share_high is not None
    assert found.share_low < 0.6 < found.share_high
    median, _, p95, _ = found.e2el
    assert (median.level, median.n, median.value) == (0.5, 8, 10_000)
    assert (p95.value, p95.needed) == (None, 72)
    assert {each.value for each in found.tpot} == {None}


def late(seconds: float, **seen: float) -> Sample:
    """A request that timed out after so many seconds."""
    given = {"ttfo": None, "e2el": None, **seen}
    return sample(error="deadline_exceeded", **given).model_copy(
        update={"started": 5.0, "ended": 5.0 + seconds}
    )


def test_a_request_that_timed_out_is_no_fast_one() -> None:
    """Left out, the arm that times out on what takes it long looks faster."""
    slow = make_cell("a", 1, [*[sample(1_000)] * 4, *[late(60)] * 6], SLO, 10.0)
    median = slow.e2el[0]
    assert (median.n, median.value, median.at_least, median.high) == (10, 60_000, True, None)
    few = make_cell("a", 1, [*[sample(1_000)] * 95, *[late(60)] * 5], SLO, 10.0)
    assert (few.e2el[0].value, few.e2el[0].at_least, few.e2el[0].high) == (1_000, False, 1_000)
    assert few.e2el[2].at_least  # its p95: one of those that timed out
    assert few.tpot[0].n == 0
    refused = make_cell(
        "a", 1, [*[sample(1_000)] * 6, *[sample(None, ttfo=None, error="overloaded")] * 4], SLO, 1.0
    )
    assert refused.e2el[0].n == 6


def test_what_was_seen_before_the_time_was_up_is_known() -> None:
    found = make_cell("a", 1, [*[sample(9_000)] * 6, *[late(60, ttfo=1_000)] * 6], SLO, 10.0)
    assert (found.ttfo[0].value, found.ttfo[0].at_least) == (1_000, False)
    assert found.e2el[0].at_least


def test_an_arm_that_answered_nothing_has_no_share() -> None:
    (verdict,) = make_verdicts([make_cell("a", 1, [], SLO, 10.0)], SLO, 0.9)
    assert (verdict.users, verdict.certain) == (None, False)
    assert "no request ended" in verdict.sentence


def test_users_are_those_up_to_which_every_concurrency_held() -> None:
    # that 4 holds again after 2 did not is noise: nobody can promise 4
    (verdict,) = make_verdicts(cells((4, 100, 0), (1, 100, 0), (2, 80, 20)), SLO, 0.9)
    assert (verdict.users, verdict.open_end, verdict.certain) == (1, False, True)
    assert verdict.sentence.startswith(
        "a serves 1 user at once on this machine within TTFO <= 5 s, E2EL <= 20 s"
    )
    assert "with 2 it is 80%" in verdict.sentence


def test_the_greatest_that_was_tried_is_no_limit() -> None:
    (verdict,) = make_verdicts(cells((1, 10, 0), (2, 10, 0)), SLO, 0.9)
    assert (verdict.users, verdict.open_end, verdict.certain) == (2, True, False)
    assert "more were not tried" in verdict.sentence
    assert "too small to be sure" in verdict.sentence  # 10 of 10 is 72% to 100%


def test_an_arm_that_serves_nobody() -> None:
    (verdict,) = make_verdicts(cells((1, 1, 99), (2, 0, 100)), SLO, 0.9)
    assert (verdict.users, verdict.open_end, verdict.certain) == (None, False, True)
    assert verdict.sentence.startswith("a does not serve 1 user at once")


def test_one_failure_is_not_certainty() -> None:
    (verdict,) = make_verdicts(cells((1, 0, 1)), SLO, 0.9)
    assert (verdict.users, verdict.certain) == (None, False)
