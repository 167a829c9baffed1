"""Nested values, of JSON or XML, as `key: value` lines, with the path to them as their section."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.dataprep.parsing.document import shorten
from services.dataprep.parsing.layout import Layout

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
Path = tuple[str, ...]

_ENTRY = 4
"""About what a value costs beside its characters: an indent, a colon, a line end."""


def write_value(value: Json, path: Path, layout: Layout) -> None:
    """Write a section for what fits a block, else one for each record and each run of entries that fits."""
    block = layout.block
    if not _is_nested(value) or _remaining(value, block) >= 0:
        _write_section(path, _value_lines(value, 0), layout)
        return
    is_record = isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value)
    run: list[str] = []
    left = block
    for name, step, item in _entries(value, path):
        size = block - _remaining(item, block) + len(name)
        if run and (size > left or is_record):
            _write_section(path, run, layout)
            run, left = [], block
        if is_record or size > block:
            write_value(item, step, layout)
        else:
            run += _entry_lines(name, item, 0)
            left -= size
    _write_section(path, run, layout)


def _entries(value: Json, path: Path) -> Iterator[tuple[str, Path, Json]]:
    """Yield each entry: its name, empty in a list; its path, such as `users[3] > address`; its value."""
    if isinstance(value, Mapping):
        yield from ((name, (*path, shorten(name)), item) for name, item in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        last = path[-1] if path else ""
        yield from (("", (*path[:-1], f"{last}[{index}]"), item) for index, item in enumerate(value))


def _write_section(path: Path, lines: Iterable[str], layout: Layout) -> None:
    text = "\n".join(lines)
    if text:
        layout.start_section(path)
        layout.add_paragraph(text)


def _value_lines(value: Json, indent: int) -> Iterator[str]:
    if not _is_nested(value):
        yield " " * indent + _write_plain(value)
    for name, _, item in _entries(value, ()):
        yield from _entry_lines(name, item, indent)


def _entry_lines(name: str, value: Json, indent: int) -> Iterator[str]:
    margin = " " * indent
    if name and _is_nested(value):
        yield f"{margin}{name}:"
        yield from _value_lines(value, indent + 2)
    elif name:
        yield f"{margin}{name}: {_write_plain(value)}"
    else:
        lines = _value_lines(value, indent + 2)
        yield f"{margin}- {next(lines, '').lstrip()}"
        yield from lines


def _is_nested(value: Json) -> bool:
    return bool(value) and not isinstance(value, str | int | float)


def _write_plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _remaining(value: Json, budget: int) -> int:
    """Tell about how many of `budget` characters writing the value leaves; it stops below zero."""
    if not _is_nested(value):
        return budget - len(_write_plain(value)) - _ENTRY
    for name, _, item in _entries(value, ()):
        budget = _remaining(item, budget - len(name) - _ENTRY)
        if budget < 0:
            break
    return budget
