"""JSON and JSONL: values as `key: value` lines, where they stand as the section.

What fits a chunk is written as one section, named by its path; what does not is taken apart. A line of JSONL
is a record of its own.
"""

from __future__ import annotations

import json

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.values import Json, write_value

FORMAT = Format(
    title="JSON",
    position=100,
    suffixes=(".json", ".jsonl", ".ndjson"),
    content_types={"application/json": ".json", "application/x-ndjson": ".jsonl"},
    read_with="the standard library",
    sections="paths, such as `users[3] > address`; a line of JSONL is a record",
)

_DEEP = Unparsable("too_large", "nests its values too deeply to be read: flatten it")


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
            write_value(value, (), layout)
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
            write_value(value, (f"line {number}",), layout)


def _invalid_json(where: str, error: json.JSONDecodeError) -> Unparsable:
    place = f"line {error.lineno}, column {error.colno}"
    return Unparsable("invalid", f"is not JSON: {where}{error.msg.lower()} at {place}")
