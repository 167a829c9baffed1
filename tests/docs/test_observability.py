"""docs/observability.md lists every metric and every span there is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.test_traces import PARENTS
from tests.docs import metrics_table

ROOT = Path(__file__).parents[2]
PAGE = metrics_table.PAGE.read_text(encoding="utf-8")
SPANS = PAGE.split("## Spans")[1]


def test_the_metrics_are_those_of_the_registries() -> None:
    assert metrics_table.rendered(PAGE) == PAGE, "run: make metrics-table"


def test_every_stage_has_a_row() -> None:
    sources = [path.read_text() for part in ("services", "pipelines") for path in (ROOT / part).rglob("*.py")]
    # a progress watcher has stages too, which are no spans
    stages = {
        stage for source in sources for stage in re.findall(r"(?<!watcher)\.stage\(\s*\"(\w+)\"", source)
    }
    assert {"embedding", "embed", "rerank", "parse"} <= stages
    assert {stage for stage in stages if f"`{stage}`" not in SPANS} == set()


def test_every_span_of_a_trace_has_a_row() -> None:
    for service, name in PARENTS:
        row = f"`{name}`" if not name.startswith("chat ") else "`chat <"
        where = service.removeprefix("ragline-")
        rows = [line for line in SPANS.splitlines() if row in line or "every other route" in line]
        assert any(where in line or " each " in line for line in rows), (service, name)
