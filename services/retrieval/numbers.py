"""Numbers as terms, so that a range is "has any of these terms" like every other filter.

A number is 16 hexadecimal digits that sort as numbers do, and is stored as the 16 prefixes of them. A range
is covered by the few prefixes under which every number is inside (tries, as in Schindler and Diepenbroek,
2008): at most 15 for each digit of each end.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

DIGITS = 16
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def sortable(value: float) -> int:
    """An unsigned 64-bit number, in the order of the values as 64-bit floats."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))
    return int(bits ^ (_ALL if bits & _SIGN else _SIGN))


def prefixes(value: float) -> list[str]:
    """Of all lengths."""
    digits = f"{sortable(value):016x}"
    return [digits[:length] for length in range(1, DIGITS + 1)]


def cover(
    *,
    gte: float | None = None,
    gt: float | None = None,
    lte: float | None = None,
    lt: float | None = None,
) -> list[str]:
    """The prefixes under which all numbers within the bounds are, and no other; none where none can be."""
    low = max(sortable(-math.inf if gte is None else gte), 0 if gt is None else sortable(gt) + 1)
    high = min(sortable(math.inf if lte is None else lte), _ALL if lt is None else sortable(lt) - 1)
    return list(_cover("", low, high))


def _cover(prefix: str, low: int, high: int) -> Iterator[str]:
    for digit in "0123456789abcdef":
        longer = prefix + digit
        bits = 4 * (DIGITS - len(longer))
        first = int(longer, 16) << bits
        last = first | ((1 << bits) - 1)
        if low <= first and last <= high:
            yield longer
        elif first <= high and last >= low:
            yield from _cover(longer, low, high)
