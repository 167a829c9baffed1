"""A policy's criteria as means of bounded scores: each holds where its mean is at or above a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pipelines.evaluation.bundle.records import RunQuestion
from pipelines.evaluation.gate.policy import Policy, Rule
from pipelines.evaluation.metric import Metric, TwinsMetric, find_metric
from pipelines.evaluation.results import OVERALL
from services.core.errors import InvalidRequest

CLIP = 4.0
"""A ratio counts as this many times the limit at most, and as this part of it at least: bets need bounds."""

Scores = Mapping[str, float]
"""Metric to value, of one answer."""
Value = Callable[[Scores, Scores], float | None]
"""A question's value, of the baseline's scores and the candidate's; None where it does not count."""


def _keep(value: float) -> float:
    return value


@dataclass(frozen=True, slots=True)
class Criterion:
    """What is asked of one metric. A question's `value` lies within `low` and `high`; more is better, and
    the criterion holds where the mean is at or above `threshold`. `show` turns a mean into the unit of
    `limit`."""

    scope: str
    metric: str
    asked: str
    limit: float
    low: float
    high: float
    threshold: float
    value: Value
    show: Callable[[float], float] = _keep

    def counts(self, question: RunQuestion) -> bool:
        """Whether the question is in the criterion's scope."""
        own = {OVERALL, question.dataset, f"{question.dataset}/{question.type}"}
        return self.scope in own


def list_criteria(policy: Policy) -> tuple[Criterion, ...]:
    """List what a policy asks: the verdict's margin first, then its rules in their order.

    Raises:
        InvalidRequest: The policy has no `quality`, or asks for what has no bounds; the message says what
            to write instead.
    """
    if policy.quality is None:
        raise InvalidRequest("policy: it has no [quality] with a metric and a margin: nothing to decide")
    quality = policy.quality
    margin = Rule(metric=quality.metric, scope=quality.scope, min_difference=-quality.margin)
    criteria = [_compare_gain(_find(margin, "quality"), margin, -quality.margin, "quality", "margin")]
    for number, rule in enumerate(policy.rules, start=1):
        criteria += _read_rule(rule, f"rules[{number}]")
    return tuple(criteria)


def _read_rule(rule: Rule, place: str) -> Iterator[Criterion]:
    metric = _find(rule, place)
    if rule.must_not_be_worse:
        yield _compare_gain(metric, rule, 0.0, place, "must_not_be_worse")
    if rule.min_difference is not None:
        yield _compare_gain(metric, rule, rule.min_difference, place, "min_difference")
    if rule.max_ratio is not None:
        yield _compare_ratio(metric, rule, rule.max_ratio, place)
    for asked, limit in (("min", rule.min), ("max", rule.max)):
        if limit is None:
            continue
        if rule.percentile is not None:
            yield _bound_percentile(metric, rule, rule.percentile, asked, limit)
        else:
            yield _bound_mean(metric, rule, asked, limit, place)


def _find(rule: Rule, place: str) -> Metric:
    metric = find_metric(rule.metric)
    if metric is None or isinstance(metric, TwinsMetric) or metric.family == "context":
        raise InvalidRequest(f"policy: {place}.metric: {rule.metric!r} is no metric of single answers")
    return metric


def _compare_gain(metric: Metric, rule: Rule, least: float, place: str, asked: str) -> Criterion:
    if metric.higher_is_better is None:
        raise InvalidRequest(f"policy: {place}.metric: no arm is better by {metric.name!r}")
    if metric.unit:
        raise InvalidRequest(
            f"policy: {place}: a difference in {metric.unit} has no bounds, which a run that may stop at any "
            "time needs: give max_ratio, or percentile with max"
        )
    if not -1 < least < 1:
        what = "margin" if place == "quality" else "difference"
        raise InvalidRequest(
            f"policy: {place}: {abs(least):g} is no {what} of shares, which is under 1: three points are 0.03"
        )
    sign = 1.0 if metric.higher_is_better else -1.0

    def value(base: Scores, own: Scores) -> float | None:
        if metric.name not in base or metric.name not in own:
            return None
        return sign * (own[metric.name] - base[metric.name])

    return Criterion(rule.scope, metric.name, asked, least, -1.0, 1.0, least, value)


def _compare_ratio(metric: Metric, rule: Rule, most: float, place: str) -> Criterion:
    if not metric.as_ratio:
        raise InvalidRequest(f"policy: {place}.max_ratio: ratios are not known of {metric.name!r}")
    limit, clip = math.log(most), math.log(CLIP)

    def value(base: Scores, own: Scores) -> float | None:
        left, right = base.get(metric.name, 0.0), own.get(metric.name, 0.0)
        if left <= 0 or right <= 0:
            return None
        return max(-clip, min(clip, limit - math.log(right / left)))

    return Criterion(
        rule.scope,
        metric.name,
        "max_ratio",
        most,
        -clip,
        clip,
        0.0,
        value,
        lambda mean: math.exp(limit - mean),
    )


def _bound_percentile(metric: Metric, rule: Rule, level: float, asked: str, limit: float) -> Criterion:
    """A percentile is at most `limit` where at least that share of the answers is."""

    def value(_: Scores, own: Scores) -> float | None:
        if metric.name not in own:
            return None
        found = own[metric.name]
        return float(found <= limit if asked == "max" else found >= limit)

    share = level if asked == "max" else 1 - level
    return Criterion(
        rule.scope,
        f"{metric.name} p{100 * level:.0f}",
        f"share within {asked} {limit:g}",
        share,
        0.0,
        1.0,
        share,
        value,
    )


def _bound_mean(metric: Metric, rule: Rule, asked: str, limit: float, place: str) -> Criterion:
    if metric.unit:
        raise InvalidRequest(
            f"policy: {place}.{asked}: a mean in {metric.unit} has no bounds, which a run that may stop at "
            "any time needs: give it a percentile (0.5 is the median)"
        )
    if not 0 < limit < 1:
        raise InvalidRequest(f"policy: {place}.{asked}: a share between 0 and 1, {limit:g} is none")
    sign = 1.0 if asked == "min" else -1.0

    def value(_: Scores, own: Scores) -> float | None:
        return sign * own[metric.name] if metric.name in own else None

    low, high = (0.0, 1.0) if asked == "min" else (-1.0, 0.0)
    return Criterion(
        rule.scope, metric.name, asked, limit, low, high, sign * limit, value, lambda mean: sign * mean
    )
