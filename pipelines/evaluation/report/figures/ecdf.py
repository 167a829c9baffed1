"""All latencies of all arms: how many answers had begun, and ended, by when."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.axes import seconds_axis
from pipelines.evaluation.report.figures.canvas import Frame, Plot, Table, empty, plot, tidy
from pipelines.evaluation.report.figures.palette import arm_colour
from pipelines.evaluation.report.units import interval, seconds

FIGURES = {
    "ttft": "TTFT: first token of any kind",
    "ttfo": "TTFO: first token of the answer",
    "e2el": "E2EL: the whole answer",
}
DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)))


def ecdf(report: Report) -> Plot | None:
    """None where nothing was timed."""
    shown = [figure for figure in FIGURES if any(curve.figure == figure for curve in report.curves)]
    if not shown:
        return None
    order = [arm.name for arm in report.arms]

    def draw(frame: Frame) -> Figure:
        return _drawn(frame, report, shown, order)

    return plot(
        "ecdf",
        "Latency, all answers",
        reading=(
            "The share of answers that had got so far after that long: further left is faster, and the "
            "right end is the slowest one. Failed requests are not among them."
        ),
        description=(
            f"Cumulative distributions of {', '.join(figure.upper() for figure in shown)}, a line for each "
            "arm. The table below has their percentiles."
        ),
        draw=draw,
        table=Table(
            head=("Arm", "Figure", "Percentile", "Value", "95 % interval, s", "n"),
            rows=tuple(
                (
                    each.arm,
                    each.figure.upper(),
                    f"p{100 * each.level:g}",
                    f"insufficient: needs {each.needed}" if each.value is None else seconds(each.value),
                    interval(each.low, each.high, "s"),
                    str(each.n),
                )
                for each in report.percentiles
            ),
        ),
    )


def _drawn(frame: Frame, report: Report, shown: list[str], order: list[str]) -> Figure:
    figure = empty(frame, 235 * len(shown) + 60 if frame.narrow else 330)
    grid = (len(shown), 1) if frame.narrow else (1, len(shown))
    panels = figure.subplots(*grid, sharey=True, squeeze=False).flatten()
    for panel, name in zip(panels, shown, strict=True):
        tidy(panel, grid="both")
        panel.set_title(FIGURES[name])
        curves = [curve for curve in report.curves if curve.figure == name]
        for curve in curves:
            place = order.index(curve.arm)
            panel.ecdf(
                curve.values, color=arm_colour(place), linestyle=DASHES[place % len(DASHES)], label=curve.arm
            )
        seconds_axis(
            panel, min(curve.values[0] for curve in curves), max(curve.values[-1] for curve in curves)
        )
        panel.set_ylim(0, 1.02)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    figure.set_layout_engine("constrained", hspace=0.08, wspace=0.04)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=1 if frame.narrow else 4, handlelength=2.6)
    return figure
