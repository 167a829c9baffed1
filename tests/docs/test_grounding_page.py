"""docs/grounding.md: its example runs, and says what it prints."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "grounding.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    exec(compile(found.group(1), "docs/grounding.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.splitlines() == ["['contradicted', 'supported', 'not a claim']", "0.5"]
