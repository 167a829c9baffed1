"""Holds a policy against results, rule by rule: what was asked, what was measured, whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.gate.policy import Policy, Rule
from pipelines.evaluation.results import OVERALL, SHARED, ArmOutcome, Delta, MetricResult, Results
from pipelines.evaluation.swap.records import CriterionResult, SwapResult
from services.core.errors import InvalidRequest

Outcome = Literal["pass", "fail", "undecided"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Frozen):
    """One thing that a policy asks.

    `value`, `low` and `high` are in the unit of `limit` and counted as it is; `outcome` is what the sample
    says, `held` what follows from it under the policy.
    """

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
    """Whether the candidate may take the baseline's place: every check must hold.

    `outcome` is "undecided" where no check fails and the sample is too small for one that must hold. `swap`
    is the verdict, where the policy asks for one.
    """

    candidate: str
    baseline: str
    passed: bool
    outcome: Outcome
    checks: tuple[Check, ...]
    swap: SwapResult | None = None


def gate(results: Results, policy: Policy) -> Decision:
    """Hold a policy against results whose baseline is the policy's.

    Raises:
        InvalidRequest: The policy names an arm, a metric or a scope that the results do not have.
    """
    candidate = _find_candidate(results, policy)
    if results.sequential is not None and policy.quality is not None:
        checks = [_read_criterion(criterion) for criterion in results.sequential.criteria]
    else:
        checks = [*_check_quality(results, policy, candidate), *check_rules(results, policy, candidate)]
    lenient = policy.when_undecided == "pass"
    checks = [
        check.model_copy(
            update={"held": check.outcome == "pass" or (check.outcome == "undecided" and lenient)}
        )
        for check in checks
    ]
    passed = all(check.held for check in checks)
    failed = any(check.outcome == "fail" for check in checks)
    return Decision(
        candidate=candidate,
        baseline=results.baseline,
        passed=passed,
        outcome="pass" if passed else "fail" if failed else "undecided",
        checks=tuple(checks),
        swap=next((swap for swap in results.swaps if policy.quality and swap.arm == candidate), None),
    )


def _find_candidate(results: Results, policy: Policy) -> str:
    others = [outcome.arm for outcome in results.outcomes if outcome.arm != results.baseline]
    _check_known(
        "baseline: the results are not against", policy.baseline or results.baseline, [results.baseline]
    )
    if not policy.candidate and len(others) == 1:
        return others[0]
    if policy.candidate == results.baseline:
        raise InvalidRequest(f"candidate: {policy.candidate!r} is the baseline: name another arm")
    _check_known(
        "candidate: the run has no arm",
        policy.candidate,
        [outcome.arm for outcome in results.outcomes],
    )
    return policy.candidate


def _read_criterion(criterion: CriterionResult) -> Check:
    """Turn a criterion of a run that stops by itself into a check."""
    return Check(held=False, **criterion.model_dump(exclude={"clusters", "holds", "fails"}))


def _check_quality(results: Results, policy: Policy, candidate: str) -> Iterator[Check]:
    """Check that the candidate is not worse by the margin or more."""
    if policy.quality is None:
        return
    quality = policy.quality
    rule = Rule(metric=quality.metric, scope=quality.scope, min_difference=-quality.margin)
    try:
        yield from _check_difference(_find_metric(results, rule), rule, candidate)
    except InvalidRequest as error:
        raise InvalidRequest(f"quality.{error.message}") from None


def check_rules(results: Results, policy: Policy, candidate: str) -> list[Check]:
    """Hold an arm against all of a policy but its `quality`; `held` is not decided yet.

    Raises:
        InvalidRequest: A rule names a metric or a scope that the results do not have.
    """
    checks = [*_check_requests(results, policy, candidate)]
    for number, rule in enumerate(policy.rules, start=1):
        try:
            checks += _check_rule(results, rule, candidate)
        except InvalidRequest as error:
            raise InvalidRequest(f"rules[{number}].{error.message}") from None
    return checks


def _check_requests(results: Results, policy: Policy, candidate: str) -> Iterator[Check]:
    arm: ArmOutcome = next(outcome for outcome in results.outcomes if outcome.arm == candidate)
    for asked, limit, count in (
        ("max_failed", policy.max_failed, sum(arm.failed.values())),
        ("max_truncated", policy.max_truncated, arm.truncated),
    ):
        if limit is not None:
            share = count / arm.asked
            yield Check(
                scope=OVERALL,
                metric="requests",
                asked=asked,
                limit=limit,
                value=share,
                n=arm.asked,
                outcome="pass" if share <= limit else "fail",
                held=False,
            )


def _check_rule(results: Results, rule: Rule, candidate: str) -> Iterator[Check]:
    if rule.percentile is not None:
        yield from _check_percentile(results, rule, candidate)
    elif rule.min is not None or rule.max is not None:
        yield from _check_mean(_find_metric(results, rule), rule, candidate)
    if rule.min_difference is not None or rule.must_not_be_worse:
        yield from _check_difference(_find_metric(results, rule), rule, candidate)
    if rule.max_ratio is not None:
        yield _check_ratio(results, rule, rule.max_ratio, candidate)


def _find_metric(results: Results, rule: Rule) -> MetricResult:
    _check_known("scope: the results have no", rule.scope, (metric.scope for metric in results.metrics))
    metrics = {metric.metric: metric for metric in results.metrics if metric.scope == rule.scope}
    _check_known(f"metric: {rule.scope!r} has no", rule.metric, metrics)
    return metrics[rule.metric]


def _check_mean(metric: MetricResult, rule: Rule, candidate: str) -> Iterator[Check]:
    rate = next((rate for rate in metric.rates if rate.arm in {candidate, SHARED}), None)
    value, n = (None, 0) if rate is None else (rate.value, rate.n)
    low, high = (None, None) if rate is None else (rate.low, rate.high)
    yield from _check_bounds(rule, value, low, high, n)


def _check_percentile(results: Results, rule: Rule, candidate: str) -> Iterator[Check]:
    figures = [found.figure for found in results.percentiles if found.level == rule.percentile]
    _check_known("metric: percentiles are not known of", rule.metric, figures)
    for found in results.percentiles:
        if (found.figure, found.level, found.arm) == (rule.metric, rule.percentile, candidate):
            yield from _check_bounds(rule, found.value, found.low, found.high, found.n)
            return
    yield from _check_bounds(rule, None, None, None, 0)


def _check_bounds(
    rule: Rule, value: float | None, low: float | None, high: float | None, n: int
) -> Iterator[Check]:
    name = "" if rule.percentile is None else f" p{100 * rule.percentile:.0f}"
    for asked, limit in (("min", rule.min), ("max", rule.max)):
        if limit is None:
            continue
        if asked == "min":
            outcome = _compare(low, high, limit)
        else:
            outcome = _compare(None if high is None else -high, None if low is None else -low, -limit)
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


def _check_difference(metric: MetricResult, rule: Rule, candidate: str) -> Iterator[Check]:
    if metric.higher_is_better is None or metric.family == "context":
        raise InvalidRequest(f"metric: of {rule.metric!r} neither arm is better: give it a min or a max")
    delta = next((delta for delta in metric.deltas if delta.arm == candidate), None)
    gain, low, high = _gain(delta, higher=metric.higher_is_better)
    if low is None and delta is not None and not metric.unit and delta.difference == 0 and delta.p == 1:
        # no question tells the arms apart: how many may at the most, Clopper and Pearson (1934) say
        high = 1 - 0.025 ** (1 / delta.clusters)
        low = -high
    common = Check(
        scope=rule.scope,
        metric=rule.metric,
        asked="must_not_be_worse",
        limit=0.0,
        value=gain,
        low=low,
        high=high,
        n=0 if delta is None else delta.n,
        outcome="undecided",
        held=False,
    )
    if rule.must_not_be_worse:
        yield common.model_copy(update={"outcome": _compare(low, high, 0.0)})
    if rule.min_difference is not None:
        limit = rule.min_difference
        yield common.model_copy(
            update={"asked": "min_difference", "limit": limit, "outcome": _compare(low, high, limit)}
        )


def _check_ratio(results: Results, rule: Rule, limit: float, candidate: str) -> Check:
    ratios = [ratio for ratio in results.ratios if ratio.scope == rule.scope]
    _check_known("scope: no ratios are known of", rule.scope, (ratio.scope for ratio in results.ratios))
    _check_known("metric: ratios are not known of", rule.metric, (ratio.metric for ratio in ratios))
    found = next((ratio for ratio in ratios if (ratio.metric, ratio.arm) == (rule.metric, candidate)), None)
    low, high = (None, None) if found is None or found.low == found.high else (found.low, found.high)
    outcome = _compare(None if high is None else -high, None if low is None else -low, -limit)
    return Check(
        scope=rule.scope,
        metric=rule.metric,
        asked="max_ratio",
        limit=limit,
        value=None if found is None else found.ratio,
        low=low,
        high=high,
        n=0 if found is None else found.n,
        outcome=outcome,
        held=False,
    )


def _gain(delta: Delta | None, *, higher: bool) -> tuple[float | None, float | None, float | None]:
    """The difference with its interval, counted so that more is better."""
    if delta is None:
        return None, None, None
    low, high = delta.low, delta.high
    if higher:
        return delta.difference, low, high
    return -delta.difference, None if high is None else -high, None if low is None else -low


def _compare(low: float | None, high: float | None, limit: float) -> Outcome:
    """Say whether all of an interval is at or above the limit, all of it below, or neither."""
    if low is None or high is None:
        return "undecided"
    if low >= limit:
        return "pass"
    return "fail" if high < limit else "undecided"


def _check_known(what: str, name: str, names: Iterable[str]) -> None:
    """InvalidRequest where a policy's name is none of the results' names, which it lists."""
    known = list(dict.fromkeys(names))
    if name not in known:
        raise InvalidRequest(f"{what} {name!r}; there are: {', '.join(known) or 'none'}")
