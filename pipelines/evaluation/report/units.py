"""Numbers as text: shares in percent, differences in points, times in seconds, p not below 0.001."""

from __future__ import annotations

import math

from pipelines.evaluation.metric import find_metric

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EM DASH}"
"""Stands where there is no figure."""


def metric_title(metric: str) -> str:
    """A metric's name in a title or on an axis."""
    declared = find_metric(metric)
    return declared.title if declared else metric


def format_share(value: float | None) -> str:
    """Format a share: 0.6235 is "62.4 %"."""
    return NOTHING if value is None else f"{_format_fixed(100 * value, 1)}{SPACE}%"


def format_points(value: float | None, *, signed: bool = True) -> str:
    """Format a difference of shares in hundredths, without its unit: 0.102 is "+10.2"."""
    return NOTHING if value is None else _format_fixed(100 * value, 1, signed=signed)


def format_time(ms: float | None) -> str:
    """Format milliseconds with the unit that suits them: "3.4 ms", "850 ms", "1.24 s", "35.3 s"."""
    if ms is None:
        return NOTHING
    if abs(ms) < 10:
        return f"{_format_fixed(ms, 1)}{SPACE}ms"
    if abs(ms) < 1000:
        return f"{_format_fixed(ms, 0)}{SPACE}ms"
    return f"{_format_fixed(ms / 1000, 2 if abs(ms) < 10_000 else 1)}{SPACE}s"


def format_amount(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Format a figure for a column that names its unit, see `column_unit`.

    `unit` is the metric's, or "s" for a metric in milliseconds that is shown in seconds.
    """
    if value is None:
        return NOTHING
    if not unit:
        return format_points(value, signed=signed)
    if unit == "s":
        return _format_fixed(value / 1000, 2 if abs(value) < 100_000 else 1, signed=signed)
    return _format_fixed(value, 1 if abs(value) < 100 else 0, signed=signed)


def format_interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """Format an interval as "[+2.1, +18.3]"; empty where there is none."""
    if low is None or high is None:
        return ""
    ends = (format_amount(end, unit, signed=signed) for end in (low, high))
    return f"[{', '.join(ends)}]"


def column_unit(unit: str) -> str:
    """The unit of the figures of `format_amount`: shares are shown in percent."""
    return unit or "%"


def format_p(p: float) -> str:
    """Format a p value with three places."""
    return f"<{SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def format_cost(value: float | None) -> str:
    """Format an amount of money or energy with three significant digits; empty where there is none."""
    return "" if value is None else f"{value:,.3g}".replace("-", MINUS)


def format_cost_interval(low: float | None, high: float | None) -> str:
    """Format the interval of a cost; empty where there is none."""
    return "" if low is None or high is None else f"[{format_cost(low)}, {format_cost(high)}]"


def format_deviation(variance: float | None) -> str:
    """Format a variance as its root, in the metric's own unit."""
    return NOTHING if variance is None else f"{math.sqrt(variance):.3g}"


def format_count(value: float) -> str:
    """Format a count: 12345 is "12,345"."""
    return f"{value:,.0f}".replace("-", MINUS)


def _format_fixed(value: float, places: int, *, signed: bool = False) -> str:
    text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)
