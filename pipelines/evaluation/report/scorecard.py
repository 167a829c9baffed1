"""The scorecard: every metric in every scope, as lines that a table shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evaluation.metric import FAMILIES, find_metric
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.units import (
    NOTHING,
    amount,
    column_unit,
    interval,
    p_value,
)
from pipelines.evaluation.results import OVERALL, SHARED, Delta, MetricResult, Rate

SECOND = 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """The interval of a difference for a bar 100 wide whose middle is 0."""

    low: float
    high: float
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """An arm's row, its figures ready to read. `verdict`: "better", "worse", "" where nothing is detectable,
    or "different" where a metric has no better end. `bar` None: no interval."""

    arm: str
    rate: str
    rate_interval: str
    n: str
    compared: bool
    delta: str = ""
    delta_interval: str = ""
    bar: Bar | None = None
    p: str = ""
    p_adjusted: str = ""
    clusters: str = ""
    discordant: str = ""
    smallest: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """`unit` is that of all its figures; a difference of percents is one in points."""

    metric: str
    unit: str
    hint: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """`level` 0: all questions, 1: a data set, 2: a type of question."""

    scope: str
    title: str
    level: int
    groups: tuple[Group, ...]


def cards(report: Report) -> tuple[Card, ...]:
    """All questions first, then data sets, each followed by its types."""
    by_scope: dict[str, list[MetricResult]] = {}
    for each in report.metrics:
        by_scope.setdefault(each.scope, []).append(each)
    datasets = [dataset.name for dataset in report.manifest.datasets]
    found = []
    for scope in sorted(by_scope, key=lambda scope: _place(scope, datasets)):
        if scope in datasets and len(datasets) == 1:
            continue
        level = 0 if scope == OVERALL else 1 if scope in datasets else 2
        title = "All questions" if not level else scope if level == 1 else scope.replace("/", ": ", 1)
        found.append(Card(scope, title, level, _groups(by_scope[scope], report.baseline)))
    return tuple(found)


def _place(scope: str, datasets: Sequence[str]) -> tuple[int, int]:
    if scope == OVERALL:
        return (-1, 0)
    for index, dataset in enumerate(datasets):
        if scope == dataset or scope.startswith(f"{dataset}/"):
            return (index, int(scope != dataset))
    return (len(datasets), 0)


def _groups(metrics: Sequence[MetricResult], baseline: str) -> tuple[Group, ...]:
    families = dict.fromkeys((*FAMILIES, *(each.family for each in metrics)))
    groups = (
        Group(
            FAMILIES.get(family, family),
            tuple(_measure(each, baseline) for each in metrics if each.family == family and each.rates),
        )
        for family in families
    )
    return tuple(group for group in groups if group.measures)


def _measure(each: MetricResult, baseline: str) -> Measure:
    deltas = {delta.arm: delta for delta in each.deltas}
    ends = [abs(end) for delta in each.deltas for end in (delta.low, delta.high) if end is not None]
    slow = each.unit == "ms" and max(rate.value for rate in each.rates) >= SECOND
    unit = "s" if slow else each.unit
    declared = find_metric(each.metric)
    hint = {True: "\N{UPWARDS ARROW} is better", False: "\N{DOWNWARDS ARROW} is better", None: ""}[
        each.higher_is_better
    ]
    return Measure(
        metric=declared.heading if declared else each.metric,
        unit=column_unit(unit),
        hint=hint,
        lines=tuple(
            _line(rate, deltas.get(rate.arm), unit, baseline, max(ends, default=0.0)) for rate in each.rates
        ),
    )


def _line(rate: Rate, delta: Delta | None, unit: str, baseline: str, reach: float) -> Line:
    value = amount(rate.value, unit)
    spread = interval(rate.low, rate.high, unit)
    name = rate.arm if rate.arm != SHARED else "all arms"
    if delta is None or rate.arm == baseline:
        return Line(name, value, spread, str(rate.n), compared=False)
    return Line(
        arm=name,
        rate=value,
        rate_interval=spread,
        n=str(delta.n),
        compared=True,
        delta=amount(delta.difference, unit, signed=True),
        delta_interval=interval(delta.low, delta.high, unit, signed=True),
        bar=_bar(delta, reach),
        p=p_value(delta.p),
        p_adjusted=p_value(delta.p_adjusted),
        clusters=str(delta.clusters),
        discordant=NOTHING
        if delta.gained is None or delta.lost is None
        else f"+{delta.gained} / \N{MINUS SIGN}{delta.lost}",
        smallest=amount(delta.smallest_detectable, unit),
        verdict=_verdict(delta),
    )


def _verdict(delta: Delta) -> str:
    if not delta.detectable:
        return ""
    return "different" if delta.better is None else "better" if delta.better else "worse"


def _bar(delta: Delta, reach: float) -> Bar | None:
    if delta.low is None or delta.high is None or not reach:
        return None
    low, high, value = (round(50 + 48 * end / reach, 1) for end in (delta.low, delta.high, delta.difference))
    return Bar(low, high, value)
