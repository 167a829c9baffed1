"""How fast the reasoning parser is: 1 MB of output, by the size of the pieces it comes in."""

from __future__ import annotations

import re
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _report import report  # noqa: E402 - a neighbour, not a package

from services.generation.reasoning.parser import ReasoningParser  # noqa: E402 - run as a script
from services.generation.reasoning.profiles import PROFILES  # noqa: E402 - run as a script

MEGABYTE = 1_000_000
RUNS = 7
TOKEN = 4
PROSE = (
    "The passage says that a pound has 453.6 g, so x < 500 holds.\nWhat about `grams`? Let us look again.\n\n"
)
CODE = "```python\nif a < b:\n    print('<think>')\n```\n"


def output(share: float) -> str:
    """1 MB, that share of it thinking, with some code in the answer."""
    half = PROSE * round(MEGABYTE * share / len(PROSE))
    rest = (PROSE * 4 + CODE) * round(MEGABYTE * (1 - share) / (4 * len(PROSE) + len(CODE)))
    return f"<think>\n{half}\n</think>\n\n{rest}"


def cut(text: str, size: int) -> list[str]:
    """Pieces of `size` characters; for `TOKEN` words and parts of them, with the space before, as tokens are."""
    if size == TOKEN:
        return re.findall(rf"\s*\S{{1,{TOKEN}}}|\s+", text)
    return [text[at : at + size] for at in range(0, len(text), size)]


def rate(text: str, size: int) -> float:
    """Median MB per second of processor time over `RUNS` runs."""
    chunks = cut(text, size)
    seconds = []
    for _ in range(RUNS):
        parser = ReasoningParser(PROFILES["tags"])
        start = time.process_time()
        for chunk in chunks:
            parser.feed(content=chunk)
        parser.finish()
        seconds.append(time.process_time() - start)
    return len(text.encode()) / 1e6 / statistics.median(seconds)


def main() -> None:
    rows: list[dict[str, str | float]] = []
    for share in (1.0, 0.5, 0.0):
        text = output(share)
        row: dict[str, str | float] = {"thinking": f"{share:.0%}"}
        for label, size in (
            ("in one piece", len(text)),
            ("64 KiB", 65536),
            ("4 KiB", 4096),
            ("tokens", TOKEN),
        ):
            row[f"{label}, MB/s"] = rate(text, size)
        rows.append(row)
    report(
        "reasoning_parser",
        "Parsing 1 MB of output",
        rows,
        n=RUNS,
        note="By processor time, median of runs; a token has up to 4 characters and the space before it.",
    )


if __name__ == "__main__":
    main()
