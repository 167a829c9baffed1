"""The figure of what an arm serves within its objectives as more users ask at once."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.evaluation.load.records import LoadCell, LoadReport
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.style import (
    AXIS,
    SURFACE,
    Frame,
    arm_colour,
    arm_marker,
    new_figure,
    tidy_axes,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, make_plot
from pipelines.evaluation.report.units import format_interval, format_share


def draw_goodput(report: Report) -> Plot | None:
    """Draw goodput against users; None where there was no load run, or none of its cells ended."""
    load = report.load
    if load is None or not load.cells:
        return None
    order = list(dict.fromkeys((*(arm.name for arm in report.arms), *(cell.arm for cell in load.cells))))

    def draw(frame: Frame) -> Figure:
        return _draw_panels(frame, load, order)

    return make_plot(
        "goodput",
        "How many users it serves",
        reading=(
            f"Goodput counts only answers within {load.slo}. Each of the users waits for the whole answer, "
            f"then asks again; the dashed line is the share that was asked for ({load.target_share:.0%})."
        ),
        description=(
            "Two panels by the number of users at once, a line for each arm: answers per second within the "
            "objectives, and the share of requests within them with its 95 % interval."
        ),
        draw=draw,
        table=Table(
            head=(
                "Arm",
                "Users at once",
                "Goodput, 1/s",
                "Throughput, 1/s",
                "Within objectives",
                "95 % interval, %",
                "Requests",
                "Errors",
            ),
            rows=tuple(
                (
                    cell.arm,
                    str(cell.concurrency),
                    f"{cell.goodput:.3g}",
                    f"{cell.throughput:.3g}",
                    format_share(cell.share_within_slo),
                    format_interval(cell.share_low, cell.share_high, ""),
                    str(cell.requests),
                    str(sum(cell.errors.values())),
                )
                for cell in load.cells
            ),
        ),
    )


def _draw_panels(frame: Frame, load: LoadReport, order: list[str]) -> Figure:
    figure = new_figure(frame, 560 if frame.narrow else 340)
    rate, within = figure.subplots(*((2, 1) if frame.narrow else (1, 2)))
    for axes, title in (
        (rate, "Answers per second within objectives"),
        (within, "Share within objectives, %"),
    ):
        tidy_axes(axes, grid="both")
        axes.set_title(title)
        axes.set_xlabel("users at once")
        axes.set_xscale("log", base=2)
        users = sorted({cell.concurrency for cell in load.cells})
        axes.set_xticks(users, [str(number) for number in users])
        axes.set_xticks([], minor=True)
        axes.set_xlim(users[0] / 1.3, users[-1] * 1.3)
    for arm in dict.fromkeys(cell.arm for cell in load.cells):
        cells = sorted((cell for cell in load.cells if cell.arm == arm), key=lambda cell: cell.concurrency)
        place = order.index(arm)
        _draw_line(rate, [(cell.concurrency, cell.goodput) for cell in cells], place, arm)
        _draw_shares(within, cells, place)
    rate.set_ylim(bottom=-0.03 * max(cell.goodput for cell in load.cells))
    within.axhline(100 * load.target_share, color=AXIS, linestyle=(0, (4, 3)), linewidth=1.25)
    within.set_ylim(-3, 103)
    figure.legend(*rate.get_legend_handles_labels(), loc="outside upper left", ncols=1 if frame.narrow else 4)
    return figure


def _draw_shares(axes: Axes, cells: Sequence[LoadCell], place: int) -> None:
    known = [cell for cell in cells if cell.share_within_slo is not None]
    for cell in known:
        if cell.share_low is not None and cell.share_high is not None:
            axes.vlines(
                cell.concurrency,
                100 * cell.share_low,
                100 * cell.share_high,
                color=arm_colour(place),
                linewidth=2,
            )
    _draw_line(axes, [(cell.concurrency, 100 * (cell.share_within_slo or 0)) for cell in known], place, "")


def _draw_line(axes: Axes, points: Sequence[tuple[float, float]], place: int, label: str) -> None:
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=arm_colour(place),
        marker=arm_marker(place),
        markersize=8,
        markeredgecolor=SURFACE,
        label=label or "_",
    )
