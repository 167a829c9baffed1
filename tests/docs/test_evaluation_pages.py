"""docs/evaluation says what is there: its examples run, its tables name every data set, metric and option."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.evaluation.datasets import dataset_names, load_dataset
from pipelines.evaluation.metric import list_metrics
from pipelines.evaluation.statistics import questions_needed, samples_needed
from tests.docs import evaluation_metrics

DOCS = Path(__file__).parents[2] / "docs"
INDEX = (DOCS / "evaluation.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "evaluation").glob("*.md")}


def block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_index_names_every_page() -> None:
    assert set(re.findall(r"\]\(evaluation/(\w+)\.md\)", INDEX)) == set(PAGES)


def test_the_example_runs(capsys) -> None:
    exec(compile(block(INDEX, "python"), "docs/evaluation.md", "exec"), {})  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "Options:" in printed or "?" in printed
    assert "small is better" in printed or "large is worse than small in correct by" in printed


def test_one_s_own_questions_load_as_written(tmp_path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(block(PAGES["sets"], "jsonl"))
    assert [item.kind for item in load_dataset(str(file)).items] == [
        "numeric",
        "exact",
        "choice",
        "abstain",
        "free",
    ]


def test_every_data_set_is_in_the_table() -> None:
    assert [name for name in dataset_names() if f"| `{name}`" not in PAGES["sets"]] == []


def test_the_tables_of_metrics_are_what_the_metrics_declare() -> None:
    page = PAGES["metrics"]
    assert evaluation_metrics.rendered(page) == page, "run: make evaluation-metrics"
    assert [metric.name for metric in list_metrics() if f"| `{metric.name}`" not in page] == []


def test_the_metric_in_the_example_is_a_metric() -> None:
    names: dict[str, object] = {}
    exec(compile(block(PAGES["metrics"], "python"), "metrics.md", "exec"), names)  # noqa: S102 - our own page
    assert evaluation_metrics.row(names["shouting"]).startswith(
        "| `shouting` | The share of an answer's words"
    )


def test_the_figures_are_what_the_functions_give() -> None:
    page = PAGES["statistics"]
    assert [questions_needed(*pair) for pair in ((0.10, 0.25), (0.05, 0.20), (0.03, 0.15))] == [
        194,
        626,
        1306,
    ]
    assert [samples_needed(level) for level in (0.95, 0.99, 0.5)] == [72, 368, 6]
    assert "194 for 10 points" in page
    assert "72 samples for p95, 368 for p99, 6 for the median" in page
