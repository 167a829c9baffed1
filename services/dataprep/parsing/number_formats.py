"""Numbers as a spreadsheet shows them: percent, thousands, decimals, leading zeros, a currency. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"'
    r"|\\(?P<escaped>.)"
    r"|\[\$(?P<currency>[^\]-]*)[^\]]*\]"
    r"|(?P<ignored>\[[^\]]*\]|_.|\*.)"
    r"|(?P<number>[#0?,]*[#0?][#0?,]*(?:\.[#0?]*)?|\.[#0?]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_MOST_DECIMALS = 15


@dataclass(frozen=True, slots=True)
class _Pattern:
    before: str
    after: str
    decimals: int
    optional: int
    digits: int
    thousands: bool
    percents: int

    def write(self, value: float) -> str:
        scaled = abs(value) * 100**self.percents
        text = f"{scaled:,.{self.decimals}f}" if self.thousands else f"{scaled:.{self.decimals}f}"
        for _ in range(self.optional):
            text = text.removesuffix("0")
        whole, point, fraction = text.partition(".")
        text = whole.rjust(self.digits, "0") + (point + fraction if fraction else "")
        sign = "-" if value < 0 and text.strip("0.,") else ""
        return f"{self.before}{sign}{text}{self.after}".strip()


def format_number(value: float, pattern: str) -> str | None:
    """Write a number in a format of the spreadsheet; None for one that is no plain number's."""
    read = _read_pattern(pattern)
    return read.write(value) if read else None


@lru_cache(maxsize=1024)
def _read_pattern(pattern: str) -> _Pattern | None:
    """Read the part for positive numbers; None where it is a date's, a fraction's, text's, or scales."""
    literals = {False: "", True: ""}
    number: str | None = None
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token[0]
        if kind == "number":
            if number is not None or text.partition(".")[0].endswith(","):
                return None
            number = text
        elif kind == "other" and text == ";":
            break
        elif kind == "other" and (text.isalpha() or text in "/@"):
            return None
        elif kind != "ignored":
            literals[number is not None] += token[kind or 0] or ""
    if number is None:
        return None
    whole, _, fraction = number.partition(".")
    decimals = min(len(fraction), _MOST_DECIMALS)
    return _Pattern(
        literals[False],
        literals[True],
        decimals,
        optional=min(decimals, fraction.count("#")),
        digits=whole.count("0"),
        thousands="," in whole,
        percents=(literals[False] + literals[True]).count("%"),
    )
