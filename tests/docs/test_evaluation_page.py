"""docs/evaluation.md says what is there: its examples run, and its tables name every data set and metric."""

from __future__ import annotations

import re
from pathlib import Path

import pipelines.evaluation.metrics
import pipelines.evaluation.reading
from pipelines.evaluation.datasets import dataset_names, load_dataset
from pipelines.evaluation.statistics import questions_needed, samples_needed

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_example_runs(capsys) -> None:
    exec(compile(block("python"), "docs/evaluation.md", "exec"), {})  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "Options:" in printed or "?" in printed
    assert "small is better" in printed or "large is worse than small in correct by" in printed


def test_one_s_own_questions_load_as_written(tmp_path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(block("jsonl"))
    assert [item.kind for item in load_dataset(str(file)).items] == [
        "numeric",
        "exact",
        "choice",
        "abstain",
        "free",
    ]


def test_every_data_set_is_in_the_table() -> None:
    assert [name for name in dataset_names() if f"| `{name}`" not in PAGE] == []


def test_every_metric_module_is_described() -> None:
    words = {
        "overlap": "token F1",
        "numbers": "numeric match",
        "options": "choice match",
        "expressions": "expression match",
        "formulas": "expression match",
        "ranking": "nDCG@k",
        "citations": "citation recall",
        "quotes": "verbatim quotes",
        "abstention": "abstention",
        "shape": "truncation rate",
        "refusals": "refusal",
        "correct": "`correct`",
        "groundedness": "groundedness",
        "latency": "TTFT",
        "text": r"\boxed{}",
    }
    folders = (pipelines.evaluation.metrics, pipelines.evaluation.reading)
    modules = {file.stem for folder in folders for file in Path(folder.__file__).parent.glob("[a-z]*.py")}
    assert modules == set(words)
    assert [phrase for phrase in words.values() if phrase not in PAGE] == []


def test_the_figures_are_what_the_functions_give() -> None:
    assert [questions_needed(*pair) for pair in ((0.10, 0.25), (0.05, 0.20), (0.03, 0.15))] == [
        194,
        626,
        1306,
    ]
    assert [samples_needed(level) for level in (0.95, 0.99, 0.5)] == [72, 368, 6]
    assert "194 for 10 points" in PAGE
    assert "72 samples for p95, 368 for p99, 6 for the median" in PAGE
