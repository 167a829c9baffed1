"""The verdict on each arm, by two one-sided tests at a policy's margin, and what the policy says to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.evaluation.gate.decision import Check, check_rules
from pipelines.evaluation.gate.policy import Policy, Quality
from pipelines.evaluation.metric import Metric, find_metric
from pipelines.evaluation.results import Results
from pipelines.evaluation.statistics import (
    Difference,
    MarginTests,
    Paired,
    compare,
    compare_with_margin,
    holm,
    more_questions,
    pair,
)
from pipelines.evaluation.statistics.paired import Score
from pipelines.evaluation.swap.records import Answer, SwapResult, Verdict
from services.core.errors import InvalidRequest

LEVEL = 0.025
"""Of each one-sided test: together the 95 % of the intervals."""


def judge_swaps(
    results: Results,
    samples: Mapping[str, Sequence[Score]],
    policy: Policy,
    trades: Mapping[str, str],
    *,
    seed: int,
) -> tuple[SwapResult, ...]:
    """Judge every arm that the policy is about, in the results' order.

    Args:
        results: What the rules are held against.
        samples: The scores in the policy's quality metric and scope, by arm.
        policy: What is asked.
        trades: Each arm's trade in plain words.
        seed: Of the resamples.

    Raises:
        InvalidRequest: The policy names an arm, a metric or a scope that the results do not have.
    """
    quality = policy.quality
    arms = _list_candidates(results, policy)
    if quality is None:
        return ()
    metric = _find_quality(quality)
    base = samples.get(results.baseline, ())
    known = {score.question for score in base}
    paired = {
        arm: pair(base, samples[arm])
        for arm in arms
        if known & {score.question for score in samples.get(arm, ())}
    }
    differences = {
        arm: compare(metric.name, both, seed=seed, amounts=bool(metric.unit)) for arm, both in paired.items()
    }
    tests = {
        arm: _turn(
            compare_with_margin(both, quality.margin, seed=seed, amounts=bool(metric.unit)),
            higher=metric.higher_is_better is not False,
        )
        for arm, both in paired.items()
    }
    below = dict(zip(tests, holm([test.below for test in tests.values()]), strict=True))
    above = dict(zip(tests, holm([test.above for test in tests.values()]), strict=True))
    unlike = dict(zip(tests, holm([difference.p for difference in differences.values()]), strict=True))
    return tuple(
        _judge(
            results,
            policy,
            quality,
            arm,
            both=paired[arm],
            difference=differences[arm],
            tests=MarginTests(below[arm], above[arm], tests[arm].error),
            unlike=unlike[arm],
            trade=trades.get(arm, ""),
        )
        for arm in paired
    )


def decide_verdict(gain: float, not_worse: float, not_better: float, unlike: float) -> Verdict:
    """Name what the tests show of a gain: `not_worse` and `not_better` are the one-sided p of a loss and of a
    gain of the margin or more, `unlike` the two-sided p of no difference.

    The words are those of Piaggio et al. (2012), "Reporting of Noninferiority and Equivalence Randomized
    Trials: Extension of the CONSORT 2010 Statement", JAMA 308, 2594-2604: worse is worse by the margin.
    """
    if unlike <= 2 * LEVEL and gain > 0:
        return "better"
    if not_worse <= LEVEL:
        return "equivalent" if not_better <= LEVEL else "non-inferior"
    return "worse" if 1 - not_worse <= LEVEL else "undecided"


def _list_candidates(results: Results, policy: Policy) -> list[str]:
    arms = [outcome.arm for outcome in results.outcomes if outcome.arm != results.baseline]
    if policy.candidate and policy.candidate not in arms:
        raise InvalidRequest(
            f"candidate: the run has no arm {policy.candidate!r} to compare with {results.baseline}; "
            f"there are: {', '.join(arms) or 'none'}"
        )
    return [policy.candidate] if policy.candidate else arms


def _find_quality(quality: Quality) -> Metric:
    metric = find_metric(quality.metric)
    if metric is None or metric.higher_is_better is None or metric.family == "context":
        raise InvalidRequest(f"quality.metric: no arm is better by {quality.metric!r}: name another metric")
    return metric


def _turn(tests: MarginTests, *, higher: bool) -> MarginTests:
    """Count a metric of which less is better so that more is."""
    return tests if higher else MarginTests(tests.above, tests.below, tests.error)


def _judge(
    results: Results,
    policy: Policy,
    quality: Quality,
    arm: str,
    *,
    both: Paired,
    difference: Difference,
    tests: MarginTests,
    unlike: float,
    trade: str,
) -> SwapResult:
    metric = _find_quality(quality)
    low, high, gain = difference.low, difference.high, difference.difference
    if metric.higher_is_better is False:
        low, high, gain = None if high is None else -high, None if low is None else -low, -gain
    verdict = decide_verdict(gain, tests.below, tests.above, unlike)
    checks = check_rules(results, policy, arm)
    broken = tuple(_describe_check(check) for check in checks if check.outcome == "fail")
    unsettled = tuple(_describe_check(check) for check in checks if check.outcome == "undecided")
    needed = alike = None
    if verdict == "undecided" and tests.error:
        needed = more_questions(tests.error, difference.n, abs(gain + quality.margin))
        alike = more_questions(tests.error, difference.n, quality.margin)
    result = SwapResult(
        arm=arm,
        metric=metric.name,
        scope=quality.scope,
        margin=quality.margin,
        n=difference.n,
        clusters=both.clusters,
        difference=gain,
        low=low,
        high=high,
        p_not_worse=tests.below,
        p_not_better=tests.above,
        verdict=verdict,
        answer=answer_policy(verdict, broken, unsettled),
        needed=needed,
        needed_alike=alike,
        broken=broken,
        open=unsettled,
        sentence="",
        trade=trade,
    )
    return result.model_copy(update={"sentence": describe_swap(result, results.baseline)})


def answer_policy(verdict: Verdict, broken: Sequence[str], unsettled: Sequence[str]) -> Answer:
    """Answer whether the arm may take the baseline's place."""
    if verdict == "worse" or broken:
        return "no"
    return "undecided" if verdict == "undecided" or unsettled else "yes"


def _describe_check(check: Check) -> str:
    asked = check.asked if check.asked == "must_not_be_worse" else f"{check.asked} {check.limit:g}"
    measured = "too few to tell" if check.value is None else f"measured {check.value:.3g}"
    where = "" if check.scope == "overall" else f" in {check.scope}"
    return f"{check.metric}{where}: {asked} ({measured})"


def describe_swap(result: SwapResult, baseline: str) -> str:
    """Say the verdict, its figures and the policy's answer; the verdict comes first."""
    metric = find_metric(result.metric)
    unit = metric.unit if metric else ""
    clusters = f" in {result.clusters} clusters" if result.clusters < result.n else ""
    facts = [f"{_format(result.difference, unit, signed=True)} {unit or 'points'}"]
    if result.low is not None and result.high is not None:
        low, high = (_format(end, unit, signed=True) for end in (result.low, result.high))
        facts.append(f"95 % interval {low} to {high}")
    facts.append(f"margin {_format(result.margin, unit)}")
    facts.append(f"n = {result.n}{clusters}")
    subject = {
        "undecided": f"undecided: {result.arm} against {baseline}",
        "better": f"better: {result.arm} than {baseline}",
        "non-inferior": f"non-inferior: {result.arm} to {baseline}",
        "equivalent": f"equivalent: {result.arm} to {baseline}",
        "worse": f"worse: {result.arm} than {baseline}",
    }[result.verdict]
    sentence = f"{subject} in {metric.label if metric else result.metric} ({', '.join(facts)})."
    return " ".join((sentence, *_describe_needed(result), describe_answer(result, baseline)))


def _describe_needed(result: SwapResult) -> list[str]:
    if result.verdict != "undecided":
        return []
    if result.needed is None and result.needed_alike is None:
        return ["This sample does not tell how many questions would settle it."]
    stays = (
        "no number of questions" if result.needed is None else f"about {count_roughly(result.needed)} more"
    )
    alike = (
        "too many to count" if result.needed_alike is None else f"about {count_roughly(result.needed_alike)}"
    )
    return [f"It needs {stays} of these questions if the difference stays, {alike} if the arms are alike."]


def describe_answer(result: SwapResult, baseline: str) -> str:
    """Say whether the arm may take the baseline's place, and what keeps it from it."""
    asked = f"May {result.arm} take the place of {baseline}?"
    if result.answer == "yes":
        return f"{asked} Yes."
    if result.answer == "no":
        why = list(result.broken)
        if result.verdict == "worse":
            why.insert(0, f"{result.metric} falls by more than the margin")
        return f"{asked} No: {'; '.join(why)}."
    unsettled = [result.metric] * (result.verdict == "undecided") + list(result.open)
    return f"{asked} Not settled: {'; '.join(unsettled)}."


def _format(value: float, unit: str, *, signed: bool = False) -> str:
    amount = value if unit else 100 * value
    return f"{amount:+.1f}" if signed else f"{amount:.1f}"


def count_roughly(number: int) -> str:
    """Write a forecast with two significant digits: more would pretend to know."""
    rounded = int(float(f"{number:.2g}"))
    return f"{rounded:,}"
