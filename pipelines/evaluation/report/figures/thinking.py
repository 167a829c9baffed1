"""Whether answers that took more thinking are right more often."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.axes import tokens_axis
from pipelines.evaluation.report.figures.canvas import Frame, Plot, Table, empty, plot, tidy
from pipelines.evaluation.report.figures.palette import SURFACE, arm_colour, arm_marker
from pipelines.evaluation.report.units import count, interval, share


def thinking(report: Report) -> Plot | None:
    """None where no arm thought."""
    if not report.thinking:
        return None
    order = [arm.name for arm in report.arms]
    arms = list(dict.fromkeys(each.arm for each in report.thinking))

    def draw(frame: Frame) -> Figure:
        figure = empty(frame, 320 if frame.narrow else 360)
        axes = figure.add_subplot()
        tidy(axes, grid="both")
        for arm in arms:
            place = order.index(arm)
            bins = [each for each in report.thinking if each.arm == arm]
            x = [each.middle for each in bins]
            axes.vlines(
                x,
                [100 * each.low for each in bins],
                [100 * each.high for each in bins],
                color=arm_colour(place),
                linewidth=2,
            )
            axes.plot(
                x,
                [100 * each.correct for each in bins],
                color=arm_colour(place),
                marker=arm_marker(place),
                markersize=9,
                markeredgecolor=SURFACE,
                linewidth=1.25,
                label=arm,
            )
        tokens_axis(axes)
        axes.set_xlim(left=0)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("thinking tokens")
        axes.set_ylabel("correct, %")
        figure.legend(loc="outside upper left", ncols=1 if frame.narrow else 4)
        return figure

    return plot(
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
                    each.arm,
                    f"{count(each.least)} to {count(each.most)}",
                    share(each.correct),
                    interval(each.low, each.high, ""),
                    str(each.n),
                )
                for each in report.thinking
            ),
        ),
    )
