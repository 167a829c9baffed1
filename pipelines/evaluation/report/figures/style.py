"""How figures look: their two widths, colours by role, and axes in seconds and in tokens.

matplotlib draws with stand-ins for the colours; the page's style gives each its colour, light or dark.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import RcKeyType

from pipelines.evaluation.report.units import format_count

INK, MUTED, GRID, SURFACE, AXIS = "#010101", "#020202", "#030303", "#040404", "#050505"
ARMS = tuple(f"#0a00{index:02x}" for index in range(8))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
STAGES = {
    "rewriting": "#0b0006",
    "embedding": "#0b0000",
    "retrieval": "#0b0001",
    "reranking": "#0b0002",
    "prefill": "#0b0003",
    "think": "#0b0004",
    "answer": "#0b0005",
}
CLASSES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SURFACE: "surface",
    AXIS: "axis",
    **{colour: f"arm{index}" for index, colour in enumerate(ARMS)},
    **{colour: f"stage-{stage}" for stage, colour in STAGES.items()},
}
"""A stand-in and the suffix of the classes `fill-...` and `stroke-...` that it becomes."""

ROUND = [1, 2, 5, 10]
WIDE_RANGE = 6
"""An axis whose ends have at least this ratio is logarithmic."""
DPI = 72
"""One point is one unit of the drawing, and about one pixel of the page."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A width of the page in pixels, with the size of text that fits it."""

    name: str
    width: float
    text: float

    @property
    def narrow(self) -> bool:
        return self.name == "narrow"


WIDE = Frame("wide", 1100, 14)
NARROW = Frame("narrow", 350, 12)


def new_figure(frame: Frame, height: float) -> Figure:
    """An empty figure of a height in the page's pixels."""
    return Figure(figsize=(frame.width / DPI, height / DPI), dpi=DPI, layout="constrained")


def tidy_axes(axes: Axes, *, grid: str = "x") -> None:
    """Leave only the lines that carry information."""
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(visible=True, axis="both" if grid == "both" else "x" if grid == "x" else "y")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def rc_style(frame: Frame) -> dict[RcKeyType, object]:
    """matplotlib's settings for a width."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "ragline",
        "font.family": "DejaVu Sans",
        "font.size": frame.text,
        "axes.labelsize": frame.text,
        "axes.titlesize": frame.text,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": AXIS,
        "axes.labelcolor": MUTED,
        "axes.titlecolor": INK,
        "axes.unicode_minus": True,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "legend.frameon": False,
        "legend.fontsize": frame.text,
        "legend.labelcolor": INK,
        "text.color": INK,
        "text.parse_math": False,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": frame.text - 1,
        "ytick.labelsize": frame.text - 1,
        "grid.color": GRID,
        "grid.linewidth": 1,
        "lines.linewidth": 2,
    }


def arm_colour(index: int) -> str:
    """An arm's colour: Okabe and Ito's, which colour-blind readers tell apart; the marker differs too."""
    return ARMS[index % len(ARMS)]


def arm_marker(index: int) -> str:
    """The marker of an arm. Markers move on where the colours begin again, so that 16 arms are 16 pairs."""
    return MARKERS[(index + index // len(ARMS)) % len(MARKERS)]


def set_seconds_axis(axes: Axes, low: float, high: float) -> None:
    """Set the x axis for values in ms from `low` to `high`."""
    if low > 0 and high / low > WIDE_RANGE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1, 3)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / 1.25, high * 1.6)
    else:
        axes.set_xlim(0, high * 1.25 or 1)
        set_seconds_ticks(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(_format_tick))


def set_seconds_ticks(axes: Axes) -> None:
    """Set round ticks on an even x axis, for values in ms."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.xaxis.set_major_formatter(FuncFormatter(_format_tick))


def set_tokens_axis(axes: Axes) -> None:
    """Set the x axis for counts."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def _format_tick(ms: float, _: float) -> str:
    if ms == 0:
        return "0"
    return f"{ms:g} ms" if abs(ms) < 1000 else f"{ms / 1000:g} s"
