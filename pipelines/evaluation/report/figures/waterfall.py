"""Where an arm's time goes: the medians of its stages, one after another."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.axes import seconds_ticks
from pipelines.evaluation.report.figures.canvas import Frame, Plot, Table, empty, plot, tidy
from pipelines.evaluation.report.figures.palette import INK, MUTED, STAGES, SURFACE
from pipelines.evaluation.report.units import seconds
from pipelines.evaluation.results import StageResult

NAMES = {
    "rewriting": "rewrite",
    "embedding": "embed",
    "retrieval": "retrieve",
    "reranking": "rerank",
    "prefill": "prefill",
    "think": "think",
    "answer": "answer",
}


def waterfall(report: Report) -> Plot | None:
    """None where no stage was timed."""
    arms = [each for each in report.stages if _total(each) > 0]
    if not arms:
        return None
    seen = [stage for stage in (*NAMES, *_others(arms)) if any(each.stages.get(stage) for each in arms)]

    def draw(frame: Frame) -> Figure:
        return _drawn(frame, arms, seen)

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


def _drawn(frame: Frame, arms: list[StageResult], seen: list[str]) -> Figure:
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
