"""Running headers and footers: lines that stand at the top or the bottom of many pages. Pure.

They are kept where they first stand and left out of the other pages, so that no passage consists of them.
Lines that differ in numbers count as the same where each number is the same on all pages, or grows with them:
an invoice's number in a footer is no page number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from services.dataprep.parsing.page_layout import Part

_LEAST_PAGES = 3
_SHARE = 0.4
"""On as many of the pages, since left and right pages may differ."""

_LINES = 2
"""So many lines at either end of a page are looked at."""

_LONGEST, _DIGITS = 150, 6
_NUMBER = re.compile(r"\d+")


def drop_running_lines(pages: Sequence[list[Part]]) -> list[list[Part]]:
    """Give the pages' parts without the lines that an earlier page has at the same end."""
    if len(pages) < _LEAST_PAGES:
        return list(pages)
    kept = list(pages)
    for at_end in (False, True):
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for number, parts in enumerate(kept):
            for line in dict.fromkeys(_edge_of(parts, at_end)):
                found[_NUMBER.sub("#", line)].append((number, line))
        dropped: dict[int, set[str]] = defaultdict(set)
        for places in found.values():
            if len(places) >= max(_LEAST_PAGES, _SHARE * len(pages)) and _run_on(places):
                for number, line in places[1:]:
                    dropped[number].add(line)
        kept = [_drop(parts, dropped[number], at_end) for number, parts in enumerate(kept)]
    return kept


def _edge_of(parts: Sequence[Part], at_end: bool) -> list[str]:
    """Give the lines at the top or the bottom of a page that may be running ones."""
    part = (parts[-1] if at_end else parts[0]) if parts else ""
    if not isinstance(part, str):
        return []
    lines = [line.strip() for line in part.splitlines() if line.strip()]
    return [line for line in (lines[-_LINES:] if at_end else lines[:_LINES]) if len(line) <= _LONGEST]


def _run_on(places: Sequence[tuple[int, str]]) -> bool:
    """Whether each number in the lines is the same on all pages, or grows by one from page to page."""
    columns: Iterable[tuple[str, ...]] = zip(*(_NUMBER.findall(line) for _, line in places), strict=True)
    return all(len(set(column)) == 1 or _grows(column, places) for column in columns)


def _grows(column: Sequence[str], places: Sequence[tuple[int, str]]) -> bool:
    if max(map(len, column)) > _DIGITS:
        return False
    return len({int(text) - number for text, (number, _) in zip(column, places, strict=True)}) == 1


def _drop(parts: list[Part], lines: set[str], at_end: bool) -> list[Part]:
    if not lines:
        return parts
    part = parts[-1] if at_end else parts[0]
    rows = part.splitlines() if isinstance(part, str) else []
    rows = rows[::-1] if at_end else rows
    kept, left = [], _LINES
    for row in rows:
        if left and row.strip():
            left -= 1
            if row.strip() in lines:
                continue
        kept.append(row)
    text = "\n".join(kept[::-1] if at_end else kept)
    return [*parts[:-1], text] if at_end else [text, *parts[1:]]
