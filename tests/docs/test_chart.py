"""The chart's README and dashboard are those of its values and of the metrics."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

import chart_readme
import settings_table

ROOT = Path(__file__).parents[2]
TEXT = chart_readme.README.read_text()
SCHEMA = json.loads((chart_readme.CHART / "values.schema.json").read_text())


def test_the_values_table_is_that_of_the_values() -> None:
    shown = TEXT.split(chart_readme.BEGIN)[1].split(chart_readme.END)[0]
    assert shown == chart_readme.table(), "run: make chart-readme"


def test_the_chart_knows_the_settings() -> None:
    assert settings_table.CHART_LINES.read_text() == settings_table.render_chart_lines(), (
        "run: make settings-table"
    )


def leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in leaves(child, (*path, key))]
    return [path]


def test_every_value_is_explained() -> None:
    """By a comment, or by the README's tables: what every component takes, and images."""
    text = (chart_readme.CHART / "values.yaml").read_text()
    explained = {path for path, _ in chart_readme.explained(text)}
    for path in leaves(yaml.safe_load(text)):
        general = {"resources", "image", "teiImages", "engineImages"} & set(path)
        above = {path[:length] for length in range(1, len(path) + 1)}
        assert explained & above or general, ".".join(path)


def test_every_field_of_a_model_and_a_component_is_in_the_readme() -> None:
    named = set(re.findall(r"`(\w+)`", TEXT))
    assert set(SCHEMA["$defs"]["model"]["properties"]) <= named
    assert set(SCHEMA["$defs"]["autoscaling"]["properties"]) - {"enabled"} <= named


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    table = (ROOT / "docs" / "observability.md").read_text()
    metrics = set(re.findall(r"^\| `(ragline_\w+)`", table, re.MULTILINE))
    dashboard = json.loads((chart_readme.CHART / "dashboards" / "ragline.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert asked
    for expression in asked:
        for name in re.findall(r"ragline_\w+", expression):
            assert name in metrics or re.sub("_(bucket|count|sum)$", "", name) in metrics, name
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_links_of_the_chart_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (chart_readme.CHART / target).exists(), target
