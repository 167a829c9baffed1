"""The latency figures: how many answers began and ended by when, and where an arm's time goes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipelines.evaluation.metric import find_metric
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.style import (
    INK,
    MUTED,
    STAGES,
    SURFACE,
    Frame,
    arm_colour,
    new_figure,
    set_seconds_axis,
    set_seconds_ticks,
    tidy_axes,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, make_plot
from pipelines.evaluation.report.units import format_interval, format_time
from pipelines.evaluation.results import StageResult

DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)))


STAGE_NAMES = {
    "rewriting": "rewrite",
    "embedding": "embed",
    "retrieval": "retrieve",
    "reranking": "rerank",
    "prefill": "prefill",
    "think": "think",
    "answer": "answer",
}


def draw_ecdf(report: Report) -> Plot | None:
    """Draw all latencies of all arms as cumulative curves; None where nothing was timed."""
    shown = list(dict.fromkeys(curve.figure for curve in report.curves))
    if not shown:
        return None
    order = [arm.name for arm in report.arms]

    def draw(frame: Frame) -> Figure:
        return _draw_curves(frame, report, shown, order)

    return make_plot(
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
                    percentile.arm,
                    percentile.figure.upper(),
                    f"p{100 * percentile.level:g}",
                    f"insufficient: needs {percentile.needed}"
                    if percentile.value is None
                    else ("\N{GREATER-THAN OR EQUAL TO} " if percentile.at_least else "")
                    + format_time(percentile.value),
                    format_interval(percentile.low, percentile.high, "s"),
                    str(percentile.n),
                )
                for percentile in report.percentiles
            ),
        ),
    )


def _draw_curves(frame: Frame, report: Report, shown: list[str], order: list[str]) -> Figure:
    figure = new_figure(frame, 235 * len(shown) + 60 if frame.narrow else 330)
    grid = (len(shown), 1) if frame.narrow else (1, len(shown))
    panels = figure.subplots(*grid, sharey=True, squeeze=False).flatten()
    for panel, name in zip(panels, shown, strict=True):
        tidy_axes(panel, grid="both")
        declared = find_metric(name)
        panel.set_title(f"{declared.heading}: {declared.curve}" if declared else name)
        curves = [curve for curve in report.curves if curve.figure == name]
        for curve in curves:
            place = order.index(curve.arm)
            panel.ecdf(
                curve.values, color=arm_colour(place), linestyle=DASHES[place % len(DASHES)], label=curve.arm
            )
        set_seconds_axis(
            panel, min(curve.values[0] for curve in curves), max(curve.values[-1] for curve in curves)
        )
        panel.set_ylim(0, 1.02)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    figure.set_layout_engine("constrained", hspace=0.08, wspace=0.04)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=1 if frame.narrow else 4, handlelength=2.6)
    return figure


def draw_waterfall(report: Report) -> Plot | None:
    """Draw the medians of each arm's stages, end to end; None where no stage was timed."""
    arms = [arm for arm in report.stages if _total(arm) > 0]
    if not arms:
        return None
    seen = [
        stage for stage in (*STAGE_NAMES, *_other_stages(arms)) if any(arm.stages.get(stage) for arm in arms)
    ]

    def draw(frame: Frame) -> Figure:
        return _draw_bars(frame, arms, seen)

    return make_plot(
        "waterfall",
        "Where the time goes",
        reading=(
            "Medians of each stage, laid end to end: their sum is near the median E2EL, but not equal to it. "
            "Searching is shared: every arm answers from the same frozen context."
        ),
        description="A bar for each arm, made of the medians of its stages: "
        + "; ".join(
            f"{arm.arm} {format_time(_total(arm))}, "
            f"thinking {format_time(arm.stages.get('think') or 0.0)} of it"
            for arm in arms
        )
        + ".",
        draw=draw,
        table=Table(
            head=("Arm", *(STAGE_NAMES.get(stage, stage) for stage in seen), "sum"),
            rows=tuple(
                (
                    arm.arm,
                    *(format_time(arm.stages.get(stage)) for stage in seen),
                    format_time(_total(arm)),
                )
                for arm in arms
            ),
        ),
    )


def _other_stages(arms: list[StageResult]) -> list[str]:
    """Stages that have no name here, in the order in which they come."""
    return list(dict.fromkeys(stage for arm in arms for stage in arm.stages if stage not in STAGE_NAMES))


def _total(arm: StageResult) -> float:
    """The sum of an arm's medians, in ms."""
    return sum(value or 0.0 for value in arm.stages.values())


def _draw_bars(frame: Frame, arms: list[StageResult], seen: list[str]) -> Figure:
    step = 56.0 if frame.narrow else 46.0
    figure = new_figure(frame, step * len(arms) + (130 if frame.narrow else 96))
    axes = figure.add_subplot()
    tidy_axes(axes)
    longest = max(map(_total, arms))
    for index, arm in enumerate(arms):
        y = index * step + (10 if frame.narrow else 0)
        _draw_bar(axes, y, arm, seen, longest)
        if frame.narrow:
            axes.annotate(
                arm.arm,
                (0, y - 22),
                xycoords=("axes fraction", "data"),
                va="center",
                weight="bold",
                color=INK,
            )
    axes.set_ylim(step * (len(arms) - 1) + (26 if frame.narrow else 22), -26)
    if frame.narrow:
        axes.set_yticks([])
    else:
        axes.set_yticks([index * step for index in range(len(arms))], [arm.arm for arm in arms])
        for label in axes.get_yticklabels():
            label.set(color=INK, weight="bold")
    axes.set_xlim(0, longest * (1.3 if frame.narrow else 1.12))
    set_seconds_ticks(axes)
    handles = [
        Patch(facecolor=STAGES.get(stage, MUTED), label=STAGE_NAMES.get(stage, stage)) for stage in seen
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=3 if frame.narrow else len(handles),
        handlelength=1,
        handleheight=1,
        columnspacing=1.2,
        handletextpad=0.5,
    )
    return figure


def _draw_bar(axes: Axes, y: float, arm: StageResult, seen: list[str], longest: float) -> None:
    at = 0.0
    for stage in seen:
        took = arm.stages.get(stage) or 0.0
        if took:
            axes.barh(
                y,
                took,
                left=at,
                height=24,
                color=STAGES.get(stage, MUTED),
                edgecolor=SURFACE,
                linewidth=0.75 if took > longest / 100 else 0,
            )
        at += took
    axes.annotate(
        format_time(at),
        (at, y),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        weight="bold",
        annotation_clip=False,
    )
