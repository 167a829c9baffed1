"""May I swap? The verdict at a margin, what the policy says to it, what is needed, and the trade."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.gate import Policy, Rule, gate
from pipelines.evaluation.gate.policy import Quality
from pipelines.evaluation.results import Results
from pipelines.evaluation.statistics import Paired, Score, compare, compare_with_margin, more_questions
from pipelines.evaluation.swap.records import SwapResult
from pipelines.evaluation.swap.verdict import decide_verdict, judge_swaps
from services.core.errors import InvalidRequest
from services.core.wire.grounding import AnswerGroundedness, GroundedSentence, GroundedText, SentenceEvidence
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, question, run

DECLINED = Said("I don't know.")


def compute(base: list[Said], other: list[Said], policy: Policy | None = None, **fields: object) -> Results:
    asked = [question(f"q{number}", **fields) for number in range(len(base))]
    return compute_results(run(asked, {"small": base, "large": other}), policy=policy)


@pytest.fixture(scope="module")
def tiny() -> Results:
    """Results of one question to four arms: what rules are held against, where there are none."""
    return compute_results(
        run([question("q")], {arm: [RIGHT] for arm in ("small", "large", "third", "fourth")})
    )


def judge_scores(results: Results, policy: Policy, **arms: str) -> dict[str, SwapResult]:
    """The verdicts on arms whose right answers are written 1, the others 0."""
    samples = {
        arm: [Score(f"q{place}", float(mark)) for place, mark in enumerate(marks)]
        for arm, marks in arms.items()
    }
    return {swap.arm: swap for swap in judge_swaps(results, samples, policy, {}, seed=1)}


def judge(base: list[Said], other: list[Said], margin: float = 0.05, **rules: object) -> SwapResult:
    [swap] = compute(base, other, Policy(quality=Quality(margin=margin), **rules)).swaps
    return swap


@pytest.mark.parametrize(
    ("gained", "lost", "alike", "verdict", "answer"),
    [
        (30, 5, 65, "better", "yes"),
        (5, 35, 60, "worse", "no"),
        (2, 2, 96, "equivalent", "yes"),
        (8, 4, 48, "non-inferior", "yes"),
        (6, 5, 4, "undecided", "undecided"),
        (4, 16, 80, "undecided", "undecided"),  # a loss is proven, but not one of ten points
    ],
)
def test_the_verdict_is_that_of_the_interval_against_the_margin(
    tiny: Results, gained: int, lost: int, alike: int, verdict: str, answer: str
) -> None:
    swap = judge_scores(
        tiny,
        Policy(quality=Quality(margin=0.1)),
        small="0" * gained + "1" * (lost + alike),
        large="1" * gained + "0" * lost + "1" * alike,
    )["large"]
    assert (swap.verdict, swap.answer) == (verdict, answer)
    assert swap.sentence.startswith(f"{verdict}: large ")
    assert swap.low is not None
    assert swap.high is not None
    by_interval = {
        "better": swap.low > 0,
        "worse": swap.high < -0.1,
        "equivalent": -0.1 < swap.low <= 0 and swap.high < 0.1,
        "non-inferior": -0.1 < swap.low <= 0 and swap.high >= 0.1,
        "undecided": swap.low <= -0.1 <= swap.high,
    }
    assert [name for name, holds in by_interval.items() if holds] == [verdict]
    assert (swap.needed is not None) == (verdict == "undecided")


def test_the_two_tests_end_where_the_interval_ends() -> None:
    """At a margin that is the interval's end the one-sided p is 2.5 %: few discordant questions and many,
    clustered, and graded."""
    generator = np.random.default_rng(3)
    for n, size, graded in ((60, 1, False), (400, 1, False), (400, 4, False), (200, 4, True)):
        base = generator.random(n) if graded else (generator.random(n) < 0.5) * 1.0
        other = (
            base + generator.normal(0.02, 0.2, n)
            if graded
            else np.where(generator.random(n) < 0.25, 1 - base, base)
        )
        paired = Paired(tuple(map(str, range(n))), base, other, np.arange(n) // size, n // size, 0)
        found = compare("m", paired, seed=1)
        assert found.low is not None
        assert found.high is not None
        low, high = abs(found.low), abs(found.high)
        assert compare_with_margin(paired, low, seed=1).below == pytest.approx(0.025, abs=0.003)
        assert compare_with_margin(paired, high, seed=1).above == pytest.approx(0.025, abs=0.003)


def test_less_is_better_is_turned_round() -> None:
    """Of unanswerable questions large answers more: a rate that should be low."""
    answerable = {"answerable": False, "answers": (), "kind": "exact"}
    policy = Policy(quality=Quality(metric="hallucination rate", margin=0.05))
    [swap] = compute([DECLINED] * 40, [DECLINED] * 10 + [RIGHT] * 30, policy, **answerable).swaps
    assert swap.verdict == "worse"
    assert swap.difference == -0.75
    assert (
        swap.trade
        == "large invents an answer to 30 of 40 unanswerable ones (small: 0), and takes 1 times as long."
    )


def test_a_broken_rule_is_a_no_and_an_open_one_leaves_it_open() -> None:
    slow = Said("It is 7.", e2el=3000)
    gain = ([WRONG] * 40, [slow] * 40)
    ratio = Rule(metric="e2el", max_ratio=2)
    broken = judge(*gain, rules=(Rule(metric="e2el", percentile=0.5, max=2000), ratio))
    assert (broken.verdict, broken.answer) == ("better", "no")
    assert broken.broken == ("e2el p50: max 2000 (measured 3e+03)",)
    assert broken.open == ("e2el: max_ratio 2 (measured 3)",)  # all alike: nothing is known of their spread
    assert broken.sentence.endswith("No: e2el p50: max 2000 (measured 3e+03).")
    unsettled = judge(*gain, rules=(ratio,))
    assert (unsettled.verdict, unsettled.answer) == ("better", "undecided")


def test_without_a_policy_the_usual_margin_holds_and_is_named() -> None:
    [swap] = compute([WRONG] * 20 + [RIGHT] * 20, [RIGHT] * 40).swaps
    assert (swap.metric, swap.margin, swap.verdict) == ("correct", 0.03, "better")
    assert "margin 3.0" in swap.sentence


def test_several_arms_are_corrected_together_unless_one_was_named_before(tiny: Results) -> None:
    alike = "0" * 9 + "1" * 91
    arms = {"small": alike, "large": "1" * 9 + "0" + "1" * 90, "third": alike, "fourth": alike}
    several = judge_scores(tiny, Policy(quality=Quality(margin=0.03)), **arms)
    assert list(several) == ["large", "third", "fourth"]
    assert several["large"].verdict == "non-inferior"
    named = judge_scores(tiny, Policy(candidate="large", quality=Quality(margin=0.03)), **arms)
    assert [(swap.arm, swap.verdict) for swap in named.values()] == [("large", "better")]


def test_the_gate_holds_the_margin_and_shows_the_verdict() -> None:
    policy = Policy(quality=Quality(margin=0.05), max_failed=0)
    found = compute([WRONG] * 30 + [RIGHT] * 70, [RIGHT] * 100, policy)
    decision = gate(found, policy)
    assert (decision.candidate, decision.outcome) == ("large", "pass")
    assert [(check.metric, check.asked, check.limit) for check in decision.checks] == [
        ("correct", "min_difference", -0.05),
        ("requests", "max_failed", 0.0),
    ]
    assert decision.swap is not None
    assert decision.swap.verdict == "better"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"candidate": "huge"}, "candidate: the run has no arm 'huge' to compare with small"),
        ({"quality": {"metric": "words", "margin": 1}}, "quality.metric: no arm is better by 'words'"),
        ({"quality": {"scope": "yours", "margin": 1}}, "quality.scope: the run has no 'yours'"),
        ({"rules": [{"metric": "corect", "min": 0}]}, r"rules\[1\].metric: 'overall' has no 'corect'"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(policy: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        compute([RIGHT] * 3, [WRONG] * 3, Policy.model_validate({"quality": {"margin": 0.1}, **policy}))


def test_verdicts_of_p_values() -> None:
    assert decide_verdict(0.1, 0.001, 0.9, 0.01) == "better"
    assert decide_verdict(-0.1, 0.999, 0.001, 0.01) == "worse"
    assert decide_verdict(-0.01, 0.01, 0.001, 0.01) == "equivalent"
    assert decide_verdict(0.01, 0.01, 0.2, 0.3) == "non-inferior"
    assert decide_verdict(0.01, 0.2, 0.2, 0.3) == "undecided"


def test_the_questions_needed_have_the_power_that_they_claim() -> None:
    """Arms that are alike and differ on 20 % of the questions, a margin of 10 points: 158 questions."""
    error = (0.2 / 50) ** 0.5
    n = 50 + (more_questions(error, 50, 0.1) or 0)
    assert n == 157
    generator = np.random.default_rng(5)
    shown = 0
    for index in range(300):
        base = (generator.random(n) < 0.5) * 1.0
        other = np.where(generator.random(n) < 0.2, 1 - base, base)
        paired = Paired(tuple(map(str, range(n))), base, other, np.arange(n), n, 0)
        shown += compare_with_margin(paired, 0.1, seed=index, resamples=400).below <= 0.025
    assert 0.74 <= shown / 300 <= 0.87
    assert more_questions(error, 50, 0.0) is None
    assert more_questions(error, 50, 1e-6) is None


def test_the_trade_counts_questions() -> None:
    asked = [question(f"q{number}") for number in range(4)]
    asked += [question(f"u{number}", answerable=False, answers=(), kind="abstain") for number in range(2)]
    made = run(
        asked,
        {
            "small": [RIGHT, DECLINED, DECLINED, WRONG, DECLINED, DECLINED],
            "large": [Said("It is 7.", e2el=2000)] * 3 + [WRONG, RIGHT, Said(error="bad_gateway")],
        },
    )
    [swap] = compute_results(made).swaps
    assert swap.trade == (
        "large answers 2 more of 4 answerable questions (4 against 2), 2 more of them rightly (3 against 1), "
        "invents an answer to 1 of 2 unanswerable ones (small: 0), and takes 1.5 times as long."
    )


def supported(content: str, p: float) -> Said:
    evidence = SentenceEvidence(
        kind="detector", features={"supported": p, "contradicted": 0.0}, quoted=False, conflict=0.0
    )
    sentence = GroundedSentence(
        start=0, end=len(content), text=content, verdict="supported", p_supported=p, evidence=evidence
    )
    text = GroundedText(sentences=[sentence], claims=1, supported=1, unsupported=0, contradicted=0)
    return Said(content, groundedness=AnswerGroundedness(calibration="detector", answer=text))


def test_the_risk_curve_gives_the_best_supported_answers_first() -> None:
    given = [supported("It is 7.", 0.9), supported("It is 3.", 0.4), supported("It is 7.", 0.7), DECLINED]
    found = compute(given, [RIGHT, WRONG, DECLINED, DECLINED])
    curves = {curve.arm: curve for curve in found.risks}
    assert [(point.n, point.share, point.accuracy) for point in curves["small"].points] == [
        (1, 0.25, 1.0),
        (2, 0.5, 1.0),
        (3, 0.75, 0.666666667),
    ]
    # without a judged claim answers rank alike: the arm as it is
    assert [(point.n, point.share, point.accuracy) for point in curves["large"].points] == [(2, 0.5, 0.5)]
    assert curves["small"].asked == 4
