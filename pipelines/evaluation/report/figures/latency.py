"""The latency figures: how many answers had begun and ended by when, and where an arm's time goes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.style import (
    INK,
    MUTED,
    STAGES,
    SURFACE,
    Frame,
    arm_colour,
    empty,
    seconds_axis,
    seconds_ticks,
    tidy,
)
from pipelines.evaluation.report.figures.svg import Plot, Table, plot
from pipelines.evaluation.report.units import interval, seconds
from pipelines.evaluation.results import StageResult

FIGURES = {
    "ttft": "TTFT: first token of any kind",
    "ttfo": "TTFO: first token of the answer",
    "e2el": "E2EL: the whole answer",
}
DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)))


NAMES = {
    "rewriting": "rewrite",
    "embedding": "embed",
    "retrieval": "retrieve",
    "reranking": "rerank",
    "prefill": "prefill",
    "think": "think",
    "answer": "answer",
}


def ecdf(report: Report) -> Plot | None:
    """None where nothing was timed."""
    shown = [figure for figure in FIGURES if any(curve.figure == figure for curve in report.curves)]
    if not shown:
        return None
    order = [arm.name for arm in report.arms]

    def draw(frame: Frame) -> Figure:
        return _draw_ecdf(frame, report, shown, order)

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


def _draw_ecdf(frame: Frame, report: Report, shown: list[str], order: list[str]) -> Figure:
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


def waterfall(report: Report) -> Plot | None:
    """None where no stage was timed."""
    arms = [each for each in report.stages if _total(each) > 0]
    if not arms:
        return None
    seen = [stage for stage in (*NAMES, *_others(arms)) if any(each.stages.get(stage) for each in arms)]

    def draw(frame: Frame) -> Figure:
        return _draw_waterfall(frame, arms, seen)

    return plot(
        "waterfall",
        "Where the time goes",
        reading=(
            "Medians of each stage, laid end to end: their sum is near the median E2EL, but not equal to it. "
            "Searching is shared: every arm answers from the same frozen context."
        ),
        description="A bar for each arm, made of the medians of its stages: "
        + "; ".join(
            f"{each.arm} {seconds(_total(each))}, thinking {seconds(each.stages.get('think') or 0.0)} of it"
            for each in arms
        )
        + ".",
        draw=draw,
        table=Table(
            head=("Arm", *(NAMES.get(stage, stage) for stage in seen), "sum"),
            rows=tuple(
                (each.arm, *(seconds(each.stages.get(stage)) for stage in seen), seconds(_total(each)))
                for each in arms
            ),
        ),
    )


def _others(arms: list[StageResult]) -> list[str]:
    return list(dict.fromkeys(stage for each in arms for stage in each.stages if stage not in NAMES))


def _total(each: StageResult) -> float:
    return sum(value or 0.0 for value in each.stages.values())


def _draw_waterfall(frame: Frame, arms: list[StageResult], seen: list[str]) -> Figure:
    step = 56.0 if frame.narrow else 46.0
    figure = empty(frame, step * len(arms) + (130 if frame.narrow else 96))
    axes = figure.add_subplot()
    tidy(axes)
    longest = max(map(_total, arms))
    for index, each in enumerate(arms):
        y = index * step + (10 if frame.narrow else 0)
        _bar(axes, y, each, seen, longest)
        if frame.narrow:
            axes.annotate(
                each.arm,
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
        axes.set_yticks([index * step for index in range(len(arms))], [each.arm for each in arms])
        for label in axes.get_yticklabels():
            label.set(color=INK, weight="bold")
    axes.set_xlim(0, longest * (1.3 if frame.narrow else 1.12))
    seconds_ticks(axes)
    handles = [Patch(facecolor=STAGES.get(stage, MUTED), label=NAMES.get(stage, stage)) for stage in seen]
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


def _bar(axes: Axes, y: float, each: StageResult, seen: list[str], longest: float) -> None:
    at = 0.0
    for stage in seen:
        took = each.stages.get(stage) or 0.0
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
        seconds(at),
        (at, y),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        weight="bold",
        annotation_clip=False,
    )
