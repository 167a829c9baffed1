"""Axes in seconds, and in tokens."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from pipelines.evaluation.report.units import count

ROUND = [1, 2, 5, 10]
WIDE_RANGE = 6
"""From this ratio of the ends on an axis is logarithmic."""


def seconds_axis(axes: Axes, low: float, high: float) -> None:
    """The x axis, for values in ms from `low` to `high`."""
    if low > 0 and high / low > WIDE_RANGE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1, 3)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / 1.25, high * 1.6)
    else:
        axes.set_xlim(0, high * 1.25 or 1)
        seconds_ticks(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))


def seconds_ticks(axes: Axes) -> None:
    """Round ones on an even scale, for values in ms."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))


def tokens_axis(axes: Axes) -> None:
    """The x axis, for counts."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def _tick(ms: float, _: float) -> str:
    if ms == 0:
        return "0"
    return f"{ms:g} ms" if abs(ms) < 1000 else f"{ms / 1000:g} s"
