"""JSON and JSONL: values as `key: value` lines, where they stand as the section.

What fits a chunk is written as one section, named by its path; what does not is taken apart. A line of JSONL
is a record of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Limits, ParsedDocument, Unparsable, shortened
from services.dataprep.parsing.layout import Layout

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
Path = tuple[str, ...]

_DEEP = Unparsable("too_large", "nests its values too deeply to be read: flatten it")
_ENTRY = 4
"""About what a value costs beside its characters: an indent, a colon, a line end."""


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    text = decode(data)
    layout = Layout(limits)
    try:
        try:
            value: Json = json.loads(text)
        except json.JSONDecodeError as error:
            if not _has_lines(text):
                raise _invalid("", error) from None
            _write_lines(text, layout)
        else:
            _write(value, (), layout)
    except RecursionError:
        raise _DEEP from None
    except ValueError as error:  # a number of more digits than Python reads
        raise Unparsable("invalid", f"is not JSON: {error}") from None
    return layout.document()


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
                raise _invalid(f"line {number} ", error) from None
            _write(value, (f"line {number}",), layout)


def _invalid(where: str, error: json.JSONDecodeError) -> Unparsable:
    place = f"line {error.lineno}, column {error.colno}"
    return Unparsable("invalid", f"is not JSON: {where}{error.msg.lower()} at {place}")


def _write(value: Json, path: Path, layout: Layout) -> None:
    """A section for what fits a block; else one for each record, and for each run of entries that fits."""
    block = layout.block
    if not _is_nested(value) or _left(value, block) >= 0:
        _write_section(path, _lines(value, 0), layout)
        return
    is_record = isinstance(value, Sequence) and all(isinstance(each, Mapping) for each in value)
    run: list[str] = []
    left = block
    for name, step, each in _entries(value, path):
        size = block - _left(each, block) + len(name)
        if run and (size > left or is_record):
            _write_section(path, run, layout)
            run, left = [], block
        if is_record or size > block:
            _write(each, step, layout)
        else:
            run += _entry(name, each, 0)
            left -= size
    _write_section(path, run, layout)


def _entries(value: Json, path: Path) -> Iterator[tuple[str, Path, Json]]:
    """Each entry: its name, empty in a list, and where it stands, such as `users[3] > address`."""
    if isinstance(value, Mapping):
        yield from ((name, (*path, shortened(name)), each) for name, each in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        last = path[-1] if path else ""
        yield from (("", (*path[:-1], f"{last}[{index}]"), each) for index, each in enumerate(value))


def _write_section(path: Path, lines: Iterable[str], layout: Layout) -> None:
    text = "\n".join(lines)
    if text:
        layout.section(path)
        layout.paragraph(text)


def _lines(value: Json, indent: int) -> Iterator[str]:
    if not _is_nested(value):
        yield " " * indent + _shown(value)
    for name, _, each in _entries(value, ()):
        yield from _entry(name, each, indent)


def _entry(name: str, value: Json, indent: int) -> Iterator[str]:
    margin = " " * indent
    if name and _is_nested(value):
        yield f"{margin}{name}:"
        yield from _lines(value, indent + 2)
    elif name:
        yield f"{margin}{name}: {_shown(value)}"
    else:
        lines = _lines(value, indent + 2)
        yield f"{margin}- {next(lines, '').lstrip()}"
        yield from lines


def _is_nested(value: Json) -> bool:
    return bool(value) and not isinstance(value, str | int | float)


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _left(value: Json, budget: int) -> int:
    """What writing the value leaves of so many characters, about; stops where that is less than nothing."""
    if not _is_nested(value):
        return budget - len(_shown(value)) - _ENTRY
    for name, _, each in _entries(value, ()):
        budget = _left(each, budget - len(name) - _ENTRY)
        if budget < 0:
            break
    return budget
