"""The order in which people read boxes on a page: from the top, and side by side from the left. Pure.

A recursive XY-cut (Nagy and Seth 1984): boxes are parted where a horizontal line crosses none of them, what
then hangs together where a vertical line does, and so on. y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

_DEPTH = 40
_SLACK = 0.1
"""So much of the smaller of two boxes may lie beyond the line between them."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float


def sort_boxes(boxes: Sequence[Box]) -> list[int]:
    """Give the places of the boxes in `boxes`, in the order in which they are read."""
    return _sort(boxes, list(range(len(boxes))), _DEPTH)


def _sort(boxes: Sequence[Box], places: list[int], depth: int) -> list[int]:
    if len(places) < 2:
        return places
    for start, end in (("top", "bottom"), ("left", "right")):
        groups = _part(boxes, places, start, end)
        if len(groups) > 1 and depth:
            return [place for group in groups for place in _sort(boxes, group, depth - 1)]
    return sorted(places, key=lambda place: (boxes[place].top, boxes[place].left))


def _part(boxes: Sequence[Box], places: list[int], start: str, end: str) -> list[list[int]]:
    """Part the boxes where a line crosses none of them, or only a tenth of one."""
    start_of, end_of = attrgetter(start), attrgetter(end)
    groups: list[list[int]] = []
    reach = smallest = 0.0
    for place in sorted(places, key=lambda place: (start_of(boxes[place]), end_of(boxes[place]))):
        box = boxes[place]
        size = end_of(box) - start_of(box)
        if groups and start_of(box) < reach - _SLACK * min(smallest, size):
            groups[-1].append(place)
            reach, smallest = max(reach, end_of(box)), min(smallest, size)
        else:
            groups.append([place])
            reach, smallest = end_of(box), size
    return groups
