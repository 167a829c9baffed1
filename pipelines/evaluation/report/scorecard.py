"""Makes the scorecard: every metric in every scope, as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.evaluation.metric import FAMILIES, find_metric
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.errors import find_measured_error
from pipelines.evaluation.report.units import (
    NOTHING,
    column_unit,
    format_amount,
    format_interval,
    format_p,
)
from pipelines.evaluation.results import OVERALL, SHARED, Delta, MetricResult, Rate

SECOND = 1000
"""Milliseconds from which a metric is shown in seconds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The interval of a difference on a bar that is 100 wide, with 0 in its middle."""

    low: float
    high: float
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """An arm's row, its figures ready to read. `p_adjusted` is corrected over the whole report, or within an
    exploratory scope. `verdict`: "better", "worse", "" where nothing is detectable
    or the scope is exploratory, "different" where a metric has no better end. `bar` None: no interval."""

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
    """One metric's lines. `unit` is that of all its figures; a difference of percents is one in points.

    `error` says how often the metric itself is wrong, in the card of all questions; else it is empty.
    """

    metric: str
    unit: str
    hint: str
    lines: tuple[Line, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The metrics of one family."""

    title: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """The metrics of one scope. `level` 0: all questions, 1: a data set, 2: a type of question."""

    scope: str
    title: str
    level: int
    groups: tuple[Group, ...]


def make_cards(report: Report) -> tuple[Card, ...]:
    """Make a card for each scope: all questions first, then each data set, followed by its types."""
    by_scope: dict[str, list[MetricResult]] = {}
    for measured in report.metrics:
        by_scope.setdefault(measured.scope, []).append(measured)
    datasets = [dataset.name for dataset in report.manifest.datasets]
    cards = []
    for scope in sorted(by_scope, key=lambda scope: _place(scope, datasets)):
        if scope in datasets and len(datasets) == 1:
            continue
        level = 0 if scope == OVERALL else 1 if scope in datasets else 2
        title = "All questions" if not level else scope if level == 1 else scope.replace("/", ": ", 1)
        cards.append(Card(scope, title, level, _make_groups(by_scope[scope], report.baseline)))
    return tuple(cards)


def _place(scope: str, datasets: Sequence[str]) -> tuple[int, int]:
    if scope == OVERALL:
        return (-1, 0)
    for index, dataset in enumerate(datasets):
        if scope == dataset or scope.startswith(f"{dataset}/"):
            return (index, int(scope != dataset))
    return (len(datasets), 0)


def _make_groups(metrics: Sequence[MetricResult], baseline: str) -> tuple[Group, ...]:
    families = dict.fromkeys((*FAMILIES, *(measured.family for measured in metrics)))
    groups = (
        Group(
            FAMILIES.get(family, family),
            tuple(
                _make_measure(measured, baseline)
                for measured in metrics
                if measured.family == family and measured.rates
            ),
        )
        for family in families
    )
    return tuple(group for group in groups if group.measures)


def _make_measure(measured: MetricResult, baseline: str) -> Measure:
    deltas = {delta.arm: delta for delta in measured.deltas}
    ends = [abs(end) for delta in measured.deltas for end in (delta.low, delta.high) if end is not None]
    slow = measured.unit == "ms" and max(rate.value for rate in measured.rates) >= SECOND
    unit = "s" if slow else measured.unit
    declared = find_metric(measured.metric)
    error = find_measured_error(measured.metric)
    hint = {True: "\N{UPWARDS ARROW} is better", False: "\N{DOWNWARDS ARROW} is better", None: ""}[
        measured.higher_is_better
    ]
    lines = [
        _make_line(rate, deltas.get(rate.arm), unit, baseline, max(ends, default=0.0))
        for rate in measured.rates
    ]
    return Measure(
        metric=declared.heading if declared else measured.metric,
        unit=column_unit(unit),
        hint=hint,
        error="" if measured.scope != OVERALL or error is None else str(error),
        # results that were scored before scopes became exploratory call their differences detectable
        lines=tuple(lines if measured.scope == OVERALL else (replace(line, verdict="") for line in lines)),
    )


def _make_line(rate: Rate, delta: Delta | None, unit: str, baseline: str, reach: float) -> Line:
    value = format_amount(rate.value, unit)
    spread = format_interval(rate.low, rate.high, unit)
    name = rate.arm if rate.arm != SHARED else "all arms"
    if delta is None or rate.arm == baseline:
        return Line(name, value, spread, str(rate.n), compared=False)
    return Line(
        arm=name,
        rate=value,
        rate_interval=spread,
        n=str(delta.n),
        compared=True,
        delta=format_amount(delta.difference, unit, signed=True),
        delta_interval=format_interval(delta.low, delta.high, unit, signed=True),
        bar=_make_bar(delta, reach),
        p=format_p(delta.p),
        p_adjusted=format_p(delta.p_adjusted if delta.p_report is None else delta.p_report),
        clusters=str(delta.clusters),
        discordant=NOTHING
        if delta.gained is None or delta.lost is None
        else f"+{delta.gained} / \N{MINUS SIGN}{delta.lost}",
        smallest="nothing"
        if delta.smallest_detectable is None
        else format_amount(delta.smallest_detectable, unit),
        verdict=_verdict(delta),
    )


def _verdict(delta: Delta) -> str:
    if not delta.detectable:
        return ""
    return "different" if delta.better is None else "better" if delta.better else "worse"


def _make_bar(delta: Delta, reach: float) -> Bar | None:
    if delta.low is None or delta.high is None or not reach:
        return None
    low, high, value = (round(50 + 48 * end / reach, 1) for end in (delta.low, delta.high, delta.difference))
    return Bar(low, high, value)
