"""How a reply says that another model entry answered than the one it was asked of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HEADER = "x-ragline-fallback"
"""`wanted -> used`, by the names of the entries."""

_MARK = "generation:"


def marks(passed_over: Iterable[str]) -> list[str]:
    """The entries that could not answer, as `degraded` lists them."""
    return [f"{_MARK}{name}" for name in passed_over]


def passed_over(degraded: Iterable[str]) -> list[str]:
    """The entries that could not answer, the wanted one first, from a reply's `degraded`."""
    return [mark.removeprefix(_MARK) for mark in degraded if mark.startswith(_MARK)]


def headers(degraded: Sequence[str], used: str) -> dict[str, str]:
    """The header of a reply by the entry `used`; none where the wanted one answered."""
    names = passed_over(degraded)
    return {HEADER: f"{names[0]} -> {used}"} if names else {}
