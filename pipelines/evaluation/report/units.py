"""Numbers as a reader wants them: shares as percent, differences in points, times in seconds, p with care."""

from __future__ import annotations

from pipelines.evaluation.metric import find_metric

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EM DASH}"
"""Stands where there is no figure."""


def said(metric: str) -> str:
    """A metric's name in a title or on an axis."""
    declared = find_metric(metric)
    return declared.title if declared else metric


def share(value: float | None) -> str:
    """0.6235 is "62.4 %"."""
    return NOTHING if value is None else f"{_fixed(100 * value, 1)}{SPACE}%"


def points(value: float | None, *, signed: bool = True) -> str:
    """A difference of shares in hundredths, without its unit: 0.102 is "+10.2"."""
    return NOTHING if value is None else _fixed(100 * value, 1, signed=signed)


def seconds(ms: float | None) -> str:
    """Milliseconds with the unit that suits them: "3.4 ms", "850 ms", "1.24 s", "35.3 s"."""
    if ms is None:
        return NOTHING
    if abs(ms) < 10:
        return f"{_fixed(ms, 1)}{SPACE}ms"
    if abs(ms) < 1000:
        return f"{_fixed(ms, 0)}{SPACE}ms"
    return f"{_fixed(ms / 1000, 2 if abs(ms) < 10_000 else 1)}{SPACE}s"


def amount(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A bare figure for a column that names its unit, see `column_unit`.

    `unit` is a metric's, or "s" for one in milliseconds that is told in seconds.
    """
    if value is None:
        return NOTHING
    if not unit:
        return points(value, signed=signed)
    if unit == "s":
        return _fixed(value / 1000, 2 if abs(value) < 100_000 else 1, signed=signed)
    return _fixed(value, 1 if abs(value) < 100 else 0, signed=signed)


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """ "[+2.1, +18.3]"; empty where there is none."""
    if low is None or high is None:
        return ""
    ends = (amount(end, unit, signed=signed) for end in (low, high))
    return f"[{', '.join(ends)}]"


def column_unit(unit: str) -> str:
    """What stands beside the figures of `amount`: shares are told in percent."""
    return unit or "%"


def p_value(p: float) -> str:
    return f"<{SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def count(value: float) -> str:
    """12345 is "12,345"."""
    return f"{value:,.0f}".replace("-", MINUS)


def _fixed(value: float, places: int, *, signed: bool = False) -> str:
    text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)
