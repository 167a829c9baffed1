"""The figures of quality against its price: against latency, and against thinking tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.evaluation.report.document import FrontierPoint, Report
from pipelines.evaluation.report.figures.style import (
    INK,
    MUTED,
    SURFACE,
    Frame,
    arm_colour,
    arm_marker,
    new_figure,
    set_seconds_axis,
    set_tokens_axis,
    tidy_axes,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, make_plot
from pipelines.evaluation.report.units import (
    NOTHING,
    format_count,
    format_interval,
    format_share,
    format_time,
    metric_title,
)

LEAST = 8
"""Points that the axis shows above and below at least."""
LINE, MARK = 16, 8
"""The height of a line of text, and half the width of a mark."""


def draw_frontier(report: Report) -> Plot | None:
    """Draw each arm's quality against its median latency; None where no arm has both figures."""
    if not report.frontier:
        return None
    order = [arm.name for arm in report.arms]
    budgets = {arm.name: arm.budget for arm in report.arms}

    def draw(frame: Frame) -> Figure:
        return _draw_points(frame, report, order)

    return make_plot(
        "frontier",
        f"{metric_title(report.quality).capitalize()} against latency",
        reading=(
            "Up and to the left is better. Bars are 95 % intervals of both figures; a dotted line joins "
            "the arms of one model in the order of their thinking budgets."
        ),
        description="One point for each arm: "
        + "; ".join(
            f"{point.arm} has {format_share(point.quality)} at a median E2EL of {format_time(point.latency)}"
            for point in report.frontier
        )
        + ".",
        draw=draw,
        table=Table(
            head=(
                "Arm",
                metric_title(report.quality).capitalize(),
                "95 % interval, %",
                "Median E2EL",
                "95 % interval, s",
                "Thinking budget",
                "Thinking tokens, median",
                "n",
            ),
            rows=tuple(
                (
                    point.arm,
                    format_share(point.quality),
                    format_interval(point.quality_low, point.quality_high, ""),
                    format_time(point.latency),
                    format_interval(point.latency_low, point.latency_high, "s"),
                    _format_budget(budgets[point.arm]),
                    NOTHING if point.thinking is None else format_count(point.thinking),
                    str(point.n),
                )
                for point in report.frontier
            ),
        ),
    )


def _format_budget(tokens: int | None) -> str:
    return NOTHING if tokens is None else f"{format_count(tokens)} tokens"


def _draw_points(frame: Frame, report: Report, order: list[str]) -> Figure:
    figure = new_figure(frame, _height(frame))
    axes = figure.add_subplot()
    tidy_axes(axes, grid="both")
    points = sorted(report.frontier, key=lambda point: (point.path, point.step))
    for _, group in groupby(points, key=lambda point: point.path):
        joined = list(group)
        if len(joined) == 1:
            continue
        axes.plot(
            [point.latency for point in joined],
            [100 * point.quality for point in joined],
            color=MUTED,
            linestyle=(0, (1, 3)),
            linewidth=1.5,
            zorder=1,
        )
    for point in report.frontier:
        _draw_mark(axes, point, order.index(point.arm))
    lows = [point.latency_low or point.latency for point in points]
    highs = [point.latency_high or point.latency for point in points]
    set_seconds_axis(axes, min(lows), max(highs))
    axes.set_xlabel("median E2EL")
    axes.set_ylabel(f"{metric_title(report.quality)}, %")
    axes.margins(y=0.12)
    low, high = axes.get_ylim()
    middle = 100 * points[0].quality
    axes.set_ylim(max(-3, min(low, middle - LEAST)), min(103, max(high, middle + LEAST)))
    _write_names(axes, frame, points)
    return figure


def _write_names(axes: Axes, frame: Frame, points: Sequence[FrontierPoint]) -> None:
    """Write the arms' names beside their points, where no other name stands: right, left, or further off."""
    width, height = 0.85 * frame.width, 0.8 * _height(frame)
    shares = [
        axes.transAxes.inverted().transform(axes.transData.transform((point.latency, 100 * point.quality)))
        for point in points
    ]
    marks = [(float(x) * width, float(y) * height) for x, y in shares]
    taken = [(x - MARK, y, 2.0 * MARK) for x, y in marks]
    for point, (mark_x, mark_y) in zip(points, marks, strict=True):
        long = len(point.arm) * frame.text * 0.65
        places = [(side, up) for up in (7, -19, 25, -37, 43) for side in (9.0, -9.0 - long)]
        boxes = [(mark_x + side, mark_y + up, long) for side, up in places]
        free = (
            index
            for index, box in enumerate(boxes)
            if box[0] + long < width + 40 and not any(_overlap(box, other) for other in taken)
        )
        chosen = next(free, 0)
        side, up = places[chosen]
        taken.append(boxes[chosen])
        axes.annotate(
            point.arm,
            (point.latency, 100 * point.quality),
            xytext=(9 if side > 0 else -9, up),
            textcoords="offset points",
            color=INK,
            ha="left" if side > 0 else "right",
            weight="bold",
            annotation_clip=False,
        )


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two names cover each other, each given by its left end, its height and its length."""
    return abs(one[1] - other[1]) < LINE and one[0] < other[0] + other[2] and other[0] < one[0] + one[2]


def _height(frame: Frame) -> float:
    return 340 if frame.narrow else 430


def _draw_mark(axes: Axes, point: FrontierPoint, place: int) -> None:
    colour, x, y = arm_colour(place), point.latency, 100 * point.quality
    if point.quality_low is not None and point.quality_high is not None:
        axes.vlines(x, 100 * point.quality_low, 100 * point.quality_high, color=colour, linewidth=2)
    if point.latency_low is not None and point.latency_high is not None:
        axes.hlines(y, point.latency_low, point.latency_high, color=colour, linewidth=2)
    axes.plot(
        x,
        y,
        color=colour,
        marker=arm_marker(place),
        markersize=11,
        markeredgecolor=SURFACE,
        markeredgewidth=1.5,
        linestyle="none",
    )


def draw_thinking(report: Report) -> Plot | None:
    """Draw the share of right answers against thinking tokens; None where no arm thought."""
    if not report.thinking:
        return None
    order = [arm.name for arm in report.arms]
    arms = list(dict.fromkeys(bin_.arm for bin_ in report.thinking))

    def draw(frame: Frame) -> Figure:
        figure = new_figure(frame, 320 if frame.narrow else 360)
        axes = figure.add_subplot()
        tidy_axes(axes, grid="both")
        for arm in arms:
            place = order.index(arm)
            bins = [bin_ for bin_ in report.thinking if bin_.arm == arm]
            x = [bin_.middle for bin_ in bins]
            axes.vlines(
                x,
                [100 * bin_.low for bin_ in bins],
                [100 * bin_.high for bin_ in bins],
                color=arm_colour(place),
                linewidth=2,
            )
            axes.plot(
                x,
                [100 * bin_.correct for bin_ in bins],
                color=arm_colour(place),
                marker=arm_marker(place),
                markersize=9,
                markeredgecolor=SURFACE,
                linewidth=1.25,
                label=arm,
            )
        set_tokens_axis(axes)
        axes.set_xlim(left=0)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("thinking tokens")
        axes.set_ylabel("correct, %")
        figure.legend(loc="outside upper left", ncols=1 if frame.narrow else 4)
        return figure

    return make_plot(
        "thinking",
        "Thinking tokens against correctness",
        reading=(
            "Each mark is a bin of about equally many questions, at its median of thinking tokens; bars are "
            "95 % intervals (Wilson). What is seen here is not what thinking does: models think longer about "
            "hard questions."
        ),
        description=f"The share of right answers by thinking tokens, in bins, for {', '.join(arms)}.",
        draw=draw,
        table=Table(
            head=("Arm", "Thinking tokens", "Correct", "95 % interval, %", "n"),
            rows=tuple(
                (
                    bin_.arm,
                    f"{format_count(bin_.least)} to {format_count(bin_.most)}",
                    format_share(bin_.correct),
                    format_interval(bin_.low, bin_.high, ""),
                    str(bin_.n),
                )
                for bin_ in report.thinking
            ),
        ),
    )
