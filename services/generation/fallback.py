"""Which entries answer in place of one that is down or gives no answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.generation.entry import ModelEntry


class BadFallback(ValueError):
    """A chain that names an unknown entry or comes back to where it was."""


def chain(entry: ModelEntry, by_name: Mapping[str, ModelEntry]) -> tuple[ModelEntry, ...]:
    """`entry`, then its fallbacks in order, each followed by its own; every entry once.

    Raises `BadFallback` for a name that is no entry's, and for a circle.
    """
    found: dict[str, ModelEntry] = {}
    _follow(entry, by_name, found, ())
    return tuple(found.values())


def _follow(
    entry: ModelEntry,
    by_name: Mapping[str, ModelEntry],
    found: dict[str, ModelEntry],
    path: tuple[str, ...],
) -> None:
    if entry.name in path:
        raise BadFallback(f"goes in a circle: {' -> '.join((*path, entry.name))}")
    found.setdefault(entry.name, entry)
    for name in entry.fallback:
        if name not in by_name:
            raise BadFallback(f"no model entry {name!r}, choose among {', '.join(by_name)}")
        _follow(by_name[name], by_name, found, (*path, entry.name))
