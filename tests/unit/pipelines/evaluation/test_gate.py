"""A policy held against a run: what passes, what fails, what the sample does not decide, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.gate import Check, Policy, Rule, gate, read_policy
from pipelines.evaluation.results import Results
from services.core.errors import InvalidRequest, NotFound
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, question, run

SLOW = Said("It is 7.", e2el=2100)
SLOW_WRONG = Said("It is 3.", e2el=1900)
EXAMPLE = Path(__file__).parents[4] / "docs" / "examples" / "policy.toml"


@pytest.fixture(scope="module")
def found() -> Results:
    """Of 40 questions small has 20 right and large 30, all of small's among them, at about twice the time."""
    asked = [question(f"q{number}") for number in range(40)]
    return compute_results(
        run(
            asked,
            {
                "small": [RIGHT] * 20 + [WRONG] * 20,
                "large": [SLOW] * 30 + [SLOW_WRONG] * 8 + [Said(error="bad_gateway")] * 2,
            },
        )
    )


def check(found: Results, when_undecided: str = "fail", **rule: object) -> Check:
    policy = Policy(
        candidate="large",
        when_undecided=when_undecided,
        rules=(Rule(**{"metric": "correct", **rule}),),
    )
    decision = gate(found, policy)
    [one] = decision.checks
    assert decision.passed == one.held
    return one


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"min_difference": -0.02}, "pass"),
        ({"min_difference": 0.05}, "pass"),
        ({"min_difference": 0.25}, "undecided"),
        ({"min_difference": 0.6}, "fail"),
        ({"must_not_be_worse": True}, "pass"),
        ({"metric": "e2el", "must_not_be_worse": True}, "fail"),
        ({"metric": "e2el", "min_difference": -1200}, "pass"),
        ({"metric": "e2el", "min_difference": -500}, "fail"),
        ({"metric": "e2el", "max_ratio": 2.2}, "pass"),
        ({"metric": "e2el", "max_ratio": 1.5}, "fail"),
        ({"min": 0.5}, "pass"),
        ({"min": 0.75}, "undecided"),  # as measured, which half of such samples would exceed by chance
        ({"min": 0.95}, "fail"),
        ({"max": 0.5}, "fail"),
        ({"metric": "words", "max": 3}, "undecided"),  # all alike: nothing is known of their spread
        ({"metric": "e2el", "percentile": 0.5, "max": 2100}, "pass"),
        ({"metric": "e2el", "percentile": 0.5, "max": 2099}, "fail"),
        ({"metric": "e2el", "percentile": 0.95, "max": 9999}, "undecided"),
    ],
)
def test_a_rule_holds_or_not(found: Results, rule: dict[str, object], outcome: str) -> None:
    assert check(found, **rule).outcome == outcome


@pytest.mark.parametrize(("count", "outcome"), [(8, "undecided"), (71, "undecided"), (72, "pass")])
def test_enough_answers_that_are_alike_decide_and_few_do_not(count: int, outcome: str) -> None:
    """72 of 72 alike: at least 95 % of all answers are so, by Clopper and Pearson."""
    asked = [question(f"q{number}") for number in range(count)]
    alike = compute_results(run(asked, {"small": [RIGHT] * count, "large": [RIGHT] * count}))
    assert check(alike, metric="words", max=3).outcome == outcome
    assert check(alike, metric="words", max=2).outcome == ("fail" if outcome == "pass" else "undecided")
    grouped = [question(f"q{number}", group=f"doc {number % 8}") for number in range(count)]
    alike = compute_results(run(grouped, {"small": [RIGHT] * count, "large": [RIGHT] * count}))
    assert check(alike, metric="words", max=3).outcome == "undecided"  # 8 documents


@pytest.mark.parametrize(("count", "outcome"), [(8, "undecided"), (200, "pass")])
def test_graded_scores_that_never_differ_decide_where_there_are_enough(count: int, outcome: str) -> None:
    asked = [question(f"q{number}", kind="exact", answers=("seven",)) for number in range(count)]
    half = Said("seven bricks")
    alike = compute_results(run(asked, {"small": [half] * count, "large": [half] * count}))
    found = check(alike, metric="token F1", min_difference=-0.02)
    assert found.low == pytest.approx(0.025 ** (1 / count) - 1)
    assert found.outcome == outcome


def test_gains_are_counted_so_that_more_is_better(found: Results) -> None:
    each = check(found, metric="e2el", min_difference=-1200)
    assert each.value is not None
    assert each.low is not None
    assert each.high is not None
    assert -1200 <= each.low <= each.value <= each.high < 0


def test_what_is_undecided_ends_as_the_policy_says(found: Results) -> None:
    assert not check(found, min_difference=0.25).held
    assert check(found, "pass", min_difference=0.25).held
    assert not check(found, "pass", min_difference=0.6).held
    tiny = compute_results(run([question("a")], {"small": [WRONG], "large": [RIGHT]}))
    assert check(tiny, must_not_be_worse=True).outcome == "undecided"


def test_a_loss_that_did_not_happen_in_few_questions_is_not_ruled_out() -> None:
    """All alike: the bootstrap's interval is 0 to 0, the score interval z^2 / (n + z^2) to both sides."""
    for count, width, outcome in ((10, 0.2775, "undecided"), (200, 0.0188, "pass")):
        asked = [question(f"q{number}") for number in range(count)]
        alike = compute_results(run(asked, {"small": [RIGHT] * count, "large": [RIGHT] * count}))
        each = check(alike, min_difference=-0.02)
        assert (each.low, each.high) == pytest.approx((-width, width), abs=1e-4)
        assert each.outcome == outcome
        assert check(alike, must_not_be_worse=True).outcome == "undecided"
        assert check(alike, metric="e2el", min_difference=-1).outcome == "undecided"
    grouped = [question(f"q{number}", group=f"doc {number % 10}") for number in range(200)]
    alike = compute_results(run(grouped, {"small": [RIGHT] * 200, "large": [RIGHT] * 200}))
    assert check(alike, min_difference=-0.02).low == pytest.approx(-0.2775, abs=1e-4)


def test_a_decision_that_no_check_fails_and_one_leaves_open_is_undecided(found: Results) -> None:
    open_rule, lost_rule = (
        Rule(metric="correct", min_difference=0.25),
        Rule(metric="correct", min_difference=0.6),
    )
    for rules, lenient, outcome in (
        ((open_rule,), "fail", "undecided"),
        ((open_rule,), "pass", "pass"),
        ((open_rule, lost_rule), "fail", "fail"),
        ((open_rule, lost_rule), "pass", "fail"),
    ):
        decision = gate(found, Policy(candidate="large", when_undecided=lenient, rules=rules))
        assert decision.outcome == outcome
        assert decision.passed == (outcome == "pass")


def test_failed_and_truncated_requests_are_bounded_by_their_share(found: Results) -> None:
    decision = gate(found, Policy(candidate="large", max_failed=0.04, max_truncated=0))
    assert [(each.asked, each.value, each.n, each.held) for each in decision.checks] == [
        ("max_failed", 0.05, 40, False),
        ("max_truncated", 0.0, 40, True),
    ]
    assert not decision.passed
    assert gate(found, Policy(candidate="large", max_failed=0.05)).passed


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"candidate": "huge"}, "candidate: the run has no arm 'huge'; there are: small, large"),
        ({"candidate": "small"}, "candidate: 'small' is the baseline"),
        ({"baseline": "large"}, "baseline: the results are not against 'large'"),
        (
            {"rules": [{"metric": "corect", "min": 0}]},
            r"rules\[1\].metric: 'overall' has no 'corect'; there are: correct",
        ),
        (
            {"rules": [{"metric": "correct", "scope": "yours", "min": 0}]},
            r"rules\[1\].scope: the results have no 'yours'; there are: overall, mine",
        ),
        ({"rules": [{"metric": "words", "must_not_be_worse": True}]}, "'words' neither arm is better"),
        (
            {"rules": [{"metric": "correct", "max_ratio": 2}]},
            "ratios are not known of 'correct'; there are: e2el",
        ),
        (
            {"rules": [{"metric": "correct", "percentile": 0.5, "max": 2}]},
            "percentiles are not known of 'correct'; there are: ttft",
        ),
    ],
)
def test_a_policy_that_does_not_fit_the_run_is_refused(
    found: Results, policy: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        gate(found, Policy.model_validate({"candidate": "large", "max_failed": 1, **policy}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("candidate = ", "is not TOML"),
        ("", "asks for nothing"),
        ("quality = 3", r"quality: write it as a table, \[quality\]"),
        ('[rules]\nmetric = "e2el"', r"rules: write each rule as a table of its own, \[\[rules\]\]"),
        ('[quality]\nmargin = "a little"', "quality.margin: give a number, without quotes"),
        ("[quality]", "quality.margin: it is missing"),
        (
            '[[rules]]\nmetric = "correct"\nmin = 0.9\nmax = 0.1',
            r"rules\[1\]: no figure is at least 0.9 and at most 0.1",
        ),
        ("[quality]\nmargin = 0", "quality.margin: 0 cannot be: it must be greater than 0"),
        (
            "[quality]\nmargins = 0.1",
            "quality.margins: there is no such key; there are metric, scope, margin",
        ),
        ('candidate = "a"', "asks for nothing"),
        ('candidate = "a"\nmax_faild = 0', "max_faild: there is no such key; there are candidate, baseline"),
        ('candidate = "a"\nmax_failed = 2', "max_failed: 2 cannot be: it must be less than or equal to 1"),
        (
            'candidate = "a"\nwhen_undecided = "maybe"\nmax_failed = 0',
            "when_undecided: Input should be 'pass' or",
        ),
        (
            'candidate = "a"\n[[rules]]\nmetric = "correct"\nmin = 0\n[[rules]]\nmetric = "x"\nmargin = 1',
            r"rules\[2\].margin: there is no such key; there are metric, scope",
        ),
        ('candidate = "a"\n[[rules]]\nmetric = "correct"', r"rules\[1\]: asks for nothing"),
        (
            'candidate = "a"\n[[rules]]\nmetric = "e2el"\npercentile = 0.9\nmax = 1',
            "percentile is one of 0.5, 0.95",
        ),
        (
            'candidate = "a"\n[[rules]]\nmetric = "e2el"\nmax_ratio = 2\npercentile = 0.5',
            "percentile needs a max",
        ),
    ],
)
def test_a_policy_that_is_wrong_names_its_key(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=says):
        read_policy(file)
    with pytest.raises(NotFound, match="no policy"):
        read_policy(tmp_path / "none.toml")


def test_the_example_is_a_policy(found: Results) -> None:
    policy = read_policy(EXAMPLE)
    assert gate(found, policy.model_copy(update={"baseline": "small"})).candidate == "large"
