"""The risk-coverage figure: how many answers are right, against how many questions are answered."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.style import (
    SURFACE,
    Frame,
    arm_colour,
    arm_marker,
    new_figure,
    tidy_axes,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, make_plot
from pipelines.evaluation.report.units import NOTHING, format_share
from pipelines.evaluation.swap.records import RiskCurve, RiskPoint

SHARES = (0.2, 0.4, 0.6, 0.8)
"""The shares answered that the table has beside the whole."""


def draw_coverage(report: Report) -> Plot | None:
    """Draw each arm's accuracy against the share of questions that it answers; None where no arm answered."""
    if not report.risks:
        return None
    order = [arm.name for arm in report.arms]

    def draw(frame: Frame) -> Figure:
        return _draw_curves(frame, report, order)

    return make_plot(
        "coverage",
        "Right answers against questions answered",
        reading=(
            "The mark is the arm as it is: how many of all questions it answers, and how many of these "
            "answers are right; an answer to a question that has none is not. The line to its left: only the "
            "answers whose least supported claim is supported best are given. Further up is less risk, "
            "further right more answers; where a line does not rise to the left the support tells nothing. "
            "Closed book there is no support, and no line."
        ),
        description="A curve for each arm: "
        + "; ".join(
            f"{curve.arm} answers {format_share(curve.points[-1].share)}, of which "
            f"{format_share(curve.points[-1].accuracy)} are right"
            for curve in report.risks
        )
        + ".",
        draw=draw,
        table=Table(
            head=(
                "Arm",
                "Answered, all that it would",
                "Right of these",
                *(f"Right at {format_share(share)} answered" for share in SHARES),
                "Questions",
            ),
            rows=tuple(
                (
                    curve.arm,
                    format_share(curve.points[-1].share),
                    format_share(curve.points[-1].accuracy),
                    *(_format_at(curve, share) for share in SHARES),
                    str(curve.asked),
                )
                for curve in report.risks
            ),
        ),
    )


def _format_at(curve: RiskCurve, share: float) -> str:
    """The accuracy at the first point that answers so many; nothing where the arm answers fewer, or where
    that point is the whole."""
    found = _find_point(curve, share)
    return NOTHING if found is None else format_share(found.accuracy)


def _find_point(curve: RiskCurve, share: float) -> RiskPoint | None:
    reached = [point for point in curve.points if point.share >= share]
    return reached[0] if reached and len(curve.points) > 1 else None


def _draw_curves(frame: Frame, report: Report, order: list[str]) -> Figure:
    figure = new_figure(frame, 300 if frame.narrow else 380)
    axes = figure.add_subplot()
    tidy_axes(axes, grid="both")
    for curve in report.risks:
        place = order.index(curve.arm)
        colour = arm_colour(place)
        axes.plot(
            [100 * point.share for point in curve.points],
            [100 * point.accuracy for point in curve.points],
            color=colour,
            linewidth=1.5,
        )
        last = curve.points[-1]
        axes.plot(
            [100 * last.share],
            [100 * last.accuracy],
            color=colour,
            marker=arm_marker(place),
            markersize=9,
            markeredgecolor=SURFACE,
            linestyle="none",
            label=curve.arm,
        )
    axes.set_xlim(0, 104)
    axes.set_ylim(0, 104)
    ticks = [0, 25, 50, 75, 100]
    axes.set_xticks(ticks, [f"{tick} %" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick} %" for tick in ticks])
    axes.set_xlabel("questions answered")
    axes.set_ylabel("right answers of these")
    figure.legend(loc="outside upper left", ncols=1 if frame.narrow else 4)
    return figure
