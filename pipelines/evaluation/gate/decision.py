"""Rule by rule: what was asked, what was measured, whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.gate.policy import Policy, Rule
from pipelines.evaluation.results import OVERALL, ArmOutcome, Delta, MetricResult, Results
from services.core.errors import InvalidRequest

Outcome = Literal["pass", "fail", "undecided"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Frozen):
    """One thing that was asked. `value`, `low` and `high` are in the unit of `limit` and counted as it is;
    `outcome` is what the sample says, `held` what follows from it under the policy."""

    scope: str
    metric: str
    asked: str
    limit: float
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    outcome: Outcome
    held: bool


class Decision(_Frozen):
    candidate: str
    baseline: str
    passed: bool
    checks: tuple[Check, ...]


def gate(results: Results, policy: Policy) -> Decision:
    """The policy against results whose baseline is the policy's.

    InvalidRequest where the policy names an arm, a metric or a scope that the results do not have.
    """
    arms = [each.arm for each in results.outcomes]
    _known("candidate: the run has no arm", policy.candidate, arms)
    _known("baseline: the results are not against", policy.baseline or results.baseline, [results.baseline])
    if policy.candidate == results.baseline:
        raise InvalidRequest(f"candidate: {policy.candidate!r} is the baseline: name another arm")
    checks = [*_requests(results, policy)]
    for number, rule in enumerate(policy.rules, start=1):
        try:
            checks += _rule(results, rule, policy.candidate)
        except InvalidRequest as error:
            raise InvalidRequest(f"rules[{number}].{error.message}") from None
    lenient = policy.when_undecided == "pass"
    checks = [
        each.model_copy(update={"held": each.outcome == "pass" or (each.outcome == "undecided" and lenient)})
        for each in checks
    ]
    return Decision(
        candidate=policy.candidate,
        baseline=results.baseline,
        passed=all(each.held for each in checks),
        checks=tuple(checks),
    )


def _requests(results: Results, policy: Policy) -> Iterator[Check]:
    found: ArmOutcome = next(each for each in results.outcomes if each.arm == policy.candidate)
    for asked, limit, count in (
        ("max_failed", policy.max_failed, sum(found.failed.values())),
        ("max_truncated", policy.max_truncated, found.truncated),
    ):
        if limit is not None:
            share = count / found.asked
            yield Check(
                scope=OVERALL,
                metric="requests",
                asked=asked,
                limit=limit,
                value=share,
                n=found.asked,
                outcome="pass" if share <= limit else "fail",
                held=False,
            )


def _rule(results: Results, rule: Rule, candidate: str) -> Iterator[Check]:
    if rule.percentile is not None:
        yield from _percentile(results, rule, candidate)
    elif rule.min is not None or rule.max is not None:
        yield from _absolute(_metric(results, rule), rule, candidate)
    if rule.min_difference is not None or rule.must_not_be_worse:
        yield from _difference(_metric(results, rule), rule, candidate)
    if rule.max_ratio is not None:
        yield _ratio(results, rule, rule.max_ratio, candidate)


def _metric(results: Results, rule: Rule) -> MetricResult:
    _known("scope: the results have no", rule.scope, (each.scope for each in results.metrics))
    here = {each.metric: each for each in results.metrics if each.scope == rule.scope}
    _known(f"metric: {rule.scope!r} has no", rule.metric, here)
    return here[rule.metric]


def _absolute(metric: MetricResult, rule: Rule, candidate: str) -> Iterator[Check]:
    found = next((each for each in metric.rates if each.arm in {candidate, ""}), None)
    value, n = (None, 0) if found is None else (found.value, found.n)
    low, high = (None, None) if found is None else (found.low, found.high)
    yield from _bounds(rule, value, low, high, n)


def _percentile(results: Results, rule: Rule, candidate: str) -> Iterator[Check]:
    figures = {each.figure: each for each in results.percentiles if each.level == rule.percentile}
    _known("metric: percentiles are not known of", rule.metric, figures)
    for each in results.percentiles:
        if (each.figure, each.level, each.arm) == (rule.metric, rule.percentile, candidate):
            yield from _bounds(rule, each.value, each.low, each.high, each.n)
            return
    yield from _bounds(rule, None, None, None, 0)


def _bounds(
    rule: Rule, value: float | None, low: float | None, high: float | None, n: int
) -> Iterator[Check]:
    name = "" if rule.percentile is None else f" p{100 * rule.percentile:.0f}"
    for asked, limit in (("min", rule.min), ("max", rule.max)):
        if limit is None:
            continue
        outcome: Outcome = "undecided"
        if value is not None:
            outcome = "pass" if (value >= limit if asked == "min" else value <= limit) else "fail"
        yield Check(
            scope=rule.scope,
            metric=f"{rule.metric}{name}",
            asked=asked,
            limit=limit,
            value=value,
            low=low,
            high=high,
            n=n,
            outcome=outcome,
            held=False,
        )


def _difference(metric: MetricResult, rule: Rule, candidate: str) -> Iterator[Check]:
    if metric.higher_is_better is None or metric.family == "context":
        raise InvalidRequest(f"metric: of {rule.metric!r} neither arm is better: give it a min or a max")
    found = next((each for each in metric.deltas if each.arm == candidate), None)
    gain, low, high = _gain(found, higher=metric.higher_is_better)
    common = Check(
        scope=rule.scope,
        metric=rule.metric,
        asked="must_not_be_worse",
        limit=0.0,
        value=gain,
        low=low,
        high=high,
        n=0 if found is None else found.n,
        outcome="undecided",
        held=False,
    )
    if rule.must_not_be_worse:
        outcome: Outcome = "undecided"
        if found is not None and found.smallest_detectable is not None:
            outcome = "fail" if found.better is False else "pass"
        yield common.model_copy(update={"outcome": outcome})
    if rule.min_difference is not None:
        limit = rule.min_difference
        yield common.model_copy(
            update={"asked": "min_difference", "limit": limit, "outcome": _above(low, high, limit)}
        )


def _ratio(results: Results, rule: Rule, limit: float, candidate: str) -> Check:
    here = [each for each in results.ratios if each.scope == rule.scope]
    _known("scope: no ratios are known of", rule.scope, (each.scope for each in results.ratios))
    _known("metric: ratios are not known of", rule.metric, (each.metric for each in here))
    found = next((each for each in here if (each.metric, each.arm) == (rule.metric, candidate)), None)
    low, high = (None, None) if found is None or found.low == found.high else (found.low, found.high)
    flipped = _above(None if high is None else -high, None if low is None else -low, -limit)
    return Check(
        scope=rule.scope,
        metric=rule.metric,
        asked="max_ratio",
        limit=limit,
        value=None if found is None else found.ratio,
        low=low,
        high=high,
        n=0 if found is None else found.n,
        outcome=flipped,
        held=False,
    )


def _gain(found: Delta | None, *, higher: bool) -> tuple[float | None, float | None, float | None]:
    """The difference with its interval, counted so that more is better."""
    if found is None:
        return None, None, None
    low, high = found.low, found.high
    if higher:
        return found.difference, low, high
    return -found.difference, None if high is None else -high, None if low is None else -low


def _above(low: float | None, high: float | None, limit: float) -> Outcome:
    """Whether all of an interval is at or above the limit, all of it below, or neither."""
    if low is None or high is None:
        return "undecided"
    if low >= limit:
        return "pass"
    return "fail" if high < limit else "undecided"


def _known(what: str, name: str, names: Iterable[str]) -> None:
    known = list(dict.fromkeys(names))
    if name not in known:
        raise InvalidRequest(f"{what} {name!r}; there are: {', '.join(known) or 'none'}")
