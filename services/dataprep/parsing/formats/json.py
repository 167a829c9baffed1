"""JSON and JSONL: values as `key: value` lines, where they stand as the section.

What fits a chunk is written as one section, named by its path; what does not is taken apart. A line of JSONL
is a record of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, ParsedDocument, Unparsable, shorten
from services.dataprep.parsing.layout import Layout

FORMAT = Format(
    title="JSON",
    position=100,
    suffixes=(".json", ".jsonl", ".ndjson"),
    content_types={"application/json": ".json", "application/x-ndjson": ".jsonl"},
    read_with="the standard library",
    sections="paths, such as `users[3] > address`; a line of JSONL is a record",
)

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
Path = tuple[str, ...]

_DEEP = Unparsable("too_large", "nests its values too deeply to be read: flatten it")
_ENTRY = 4
"""About what a value costs beside its characters: an indent, a colon, a line end."""


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out one value, or a value for each line."""
    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    layout = Layout(limits)
    layout.warn(*decoded.warnings)
    try:
        try:
            value: Json = json.loads(text)
        except json.JSONDecodeError as error:
            if not _has_lines(text):
                raise _invalid_json("", error) from None
            _write_lines(text, layout)
        else:
            _write(value, (), layout)
    except RecursionError:
        raise _DEEP from None
    except ValueError as error:  # a number of more digits than Python reads
        raise Unparsable("invalid", f"is not JSON: {error}") from None
    return layout.finish()


def _has_lines(text: str) -> bool:
    """Whether the first line is a value by itself, as in JSONL, and more follows."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        json.loads(first)
    except ValueError:
        return False
    return bool(rest.strip())


def _write_lines(text: str, layout: Layout) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value: Json = json.loads(line)
            except json.JSONDecodeError as error:
                raise _invalid_json(f"line {number} ", error) from None
            _write(value, (f"line {number}",), layout)


def _invalid_json(where: str, error: json.JSONDecodeError) -> Unparsable:
    place = f"line {error.lineno}, column {error.colno}"
    return Unparsable("invalid", f"is not JSON: {where}{error.msg.lower()} at {place}")


def _write(value: Json, path: Path, layout: Layout) -> None:
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
            _write(item, step, layout)
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
