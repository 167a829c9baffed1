"""The table of values in the chart's README, made from the comments of values.yaml; running this writes it.

A comment that begins with `# --` explains the key below it. Keys without one are parts of a key that is explained, or
have a place of their own in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).parents[2] / "kubernetes" / "ragline"
README = CHART / "README.md"
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"
LONG = 60


def explained(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path of the key, comment) for each explained key, in order."""
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        if found := re.match(r"\s*# -- (.*)", line):
            comment = found.group(1)
        elif found := re.match(r"( *)([A-Za-z]\w*):", line):
            depth = len(found.group(1)) // 2
            path[depth:] = [found.group(2)]
            if comment:
                yield tuple(path), comment
            comment = ""


def table() -> str:
    """A Markdown table: key, default, what it is."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    lines = ["| key | default | what it is |", "|---|---|---|"]
    for path, comment in explained(text):
        default = values
        for key in path:
            default = default[key]
        shown = json.dumps(default)
        if default in ("", None):
            shown = ""
        elif len(shown) > LONG:
            shown = "see values.yaml"
        else:
            shown = f"`{shown}`"
        lines.append(f"| `{'.'.join(path)}` | {shown} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1])
