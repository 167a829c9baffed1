"""CSV and TSV: a table, its delimiter told from its first rows."""

from __future__ import annotations

import csv
from collections import Counter
from io import StringIO
from itertools import islice

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.layout import Layout

FORMAT = Format(
    title="CSV",
    position=90,
    suffixes=(".csv", ".tsv"),
    content_types={"text/csv": ".csv", "text/tab-separated-values": ".tsv"},
    read_with="the standard library",
    sections="the numbers of the rows",
)

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50
_SAMPLE_CHARACTERS = 1 << 16


def parse(data: bytes, limits: Limits, suffix: str) -> ParsedDocument:
    """Lay out the rows as one table."""
    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    delimiter = "\t" if suffix == ".tsv" else _find_delimiter(text)
    csv.field_size_limit(max(limits.characters, 1))
    layout = Layout(limits)
    layout.warn(*decoded.warnings)
    try:
        layout.add_table(csv.reader(StringIO(text, newline=""), delimiter=delimiter), numbered=True)
    except csv.Error as error:
        raise Unparsable("invalid", f"is not CSV: {error}") from None
    return layout.finish()


def _find_delimiter(text: str) -> str:
    """Find the one that cuts most of the first rows into the same number of columns, more than one."""
    sample = text[:_SAMPLE_CHARACTERS]
    return max(_DELIMITERS, key=lambda delimiter: _rate_delimiter(sample, delimiter))


def _rate_delimiter(sample: str, delimiter: str) -> tuple[float, int]:
    """Give the share of rows with the commonest number of columns, and that number."""
    try:
        rows = islice(csv.reader(StringIO(sample, newline=""), delimiter=delimiter), _SAMPLE_ROWS)
        widths = Counter(len(row) for row in rows if row)
    except csv.Error:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    return (count / widths.total(), width) if width > 1 else (0.0, 0)
