"""The figure of differences to the baseline by data set and type of question, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.style import (
    AXIS,
    INK,
    MUTED,
    SURFACE,
    Frame,
    arm_colour,
    arm_marker,
    new_figure,
    tidy_axes,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, make_plot
from pipelines.evaluation.report.units import format_interval, format_p, format_points, metric_title
from pipelines.evaluation.results import OVERALL, Delta

LEAST = 5
"""Points that the axis shows on either side at least, so that small differences look small."""
INDENT = "\N{NO-BREAK SPACE}" * 4


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    level: int
    deltas: tuple[Delta, ...]


def draw_forest(report: Report) -> Plot | None:
    """Draw the differences; None where nothing is compared."""
    rows = _make_rows(report)
    if not rows:
        return None
    order = [arm.name for arm in report.arms]
    candidates = [name for name in order if any(delta.arm == name for row in rows for delta in row.deltas)]

    def draw(frame: Frame) -> Figure:
        return _draw_rows(frame, rows, candidates, order)

    return make_plot(
        "forest",
        f"{metric_title(report.quality).capitalize()}: difference to {report.baseline}, by type of question",
        reading=(
            f"Right of the line an arm does better than {report.baseline}, left of it worse; bars are 95 % "
            "intervals. A filled mark's difference holds after Holm's correction, a hollow one's does not."
        ),
        description=(
            f"A dot with a 95 % interval for each of {', '.join(candidates)} in {len(rows)} groups of "
            f"questions; zero is {report.baseline}. The table below has the figures."
        ),
        draw=draw,
        table=_make_table(rows),
    )


def _make_rows(report: Report) -> list[_Row]:
    by_scope = {
        measured.scope: measured.deltas
        for measured in report.metrics
        if measured.metric == report.quality and measured.deltas
    }
    rows = [_Row("All questions", 0, by_scope[OVERALL])] if OVERALL in by_scope else []
    for dataset in report.manifest.datasets:
        if dataset.name in by_scope and len(report.manifest.datasets) > 1:
            rows.append(_Row(dataset.name, 0, by_scope[dataset.name]))
        types = [scope for scope in by_scope if scope.startswith(f"{dataset.name}/")]
        if len(types) > 1:
            rows += [_Row(scope.removeprefix(f"{dataset.name}/"), 1, by_scope[scope]) for scope in types]
    return rows


def _draw_rows(frame: Frame, rows: list[_Row], candidates: list[str], order: list[str]) -> Figure:
    lane = 15.0 if frame.narrow else 17.0
    gap = 28.0 if frame.narrow else 14.0
    step = lane * len(candidates) + gap
    figure = new_figure(frame, step * len(rows) + 92)
    axes = figure.add_subplot()
    tidy_axes(axes)
    axes.axvline(0, color=AXIS, linewidth=1.5)
    for index, row in enumerate(rows):
        top = index * step
        if index and not row.level:
            axes.axhline(top - (4 if frame.narrow else gap / 2), color=MUTED, linewidth=0.5, alpha=0.4)
        for delta in row.deltas:
            place = order.index(delta.arm)
            y = top + gap / (1 if frame.narrow else 2) + lane * candidates.index(delta.arm)
            _draw_mark(axes, y, delta, place)
        if frame.narrow:
            axes.annotate(
                row.label,
                (0, top + 8),
                xycoords=("axes fraction", "data"),
                va="center",
                weight="normal" if row.level else "bold",
                color=INK,
                bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 1},
            )
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -LEAST), max(high, LEAST))
    axes.set_ylim(step * len(rows) - gap / 2 + (gap / 2 if frame.narrow else 0), -gap / 2)
    if frame.narrow:
        axes.set_yticks([])
    else:
        middle = (len(candidates) - 1) * lane / 2 + gap / 2
        axes.set_yticks(
            [index * step + middle for index in range(len(rows))],
            [INDENT * row.level + row.label for row in rows],
        )
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set(ha="left", weight="normal" if row.level else "bold", color=INK)
        longest = max(len(row.label) + 4 * row.level for row in rows)
        axes.tick_params(axis="y", pad=longest * frame.text * 0.62 + 8)
    axes.set_xlabel("points")
    for name in candidates:
        place = order.index(name)
        axes.plot([], [], color=arm_colour(place), marker=arm_marker(place), markersize=8, label=name)
    figure.legend(loc="outside upper left", ncols=1 if frame.narrow else 4)
    return figure


def _draw_mark(axes: Axes, y: float, delta: Delta, place: int) -> None:
    colour = arm_colour(place)
    if delta.low is not None and delta.high is not None:
        axes.hlines(y, 100 * delta.low, 100 * delta.high, color=colour, linewidth=2.5)
    axes.plot(
        100 * delta.difference,
        y,
        color=colour,
        marker=arm_marker(place),
        markersize=8,
        markeredgewidth=2,
        markerfacecolor=colour if delta.detectable else SURFACE,
    )


def _make_table(rows: list[_Row]) -> Table:
    return Table(
        head=("Questions", "Arm", "Difference, points", "95 % interval", "p (Holm)", "n"),
        rows=tuple(
            (
                row.label,
                delta.arm,
                format_points(delta.difference),
                format_interval(delta.low, delta.high, "", signed=True),
                format_p(delta.p_adjusted if delta.p_report is None else delta.p_report),
                str(delta.n),
            )
            for row in rows
            for delta in row.deltas
        ),
    )
