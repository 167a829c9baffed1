"""A metric is one file: declared, found by listing the folder, and then in results, report and gate."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.evaluation import metrics
from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.analysis.scores import score_text
from pipelines.evaluation.bundle.recorded import write_results
from pipelines.evaluation.bundle.store import BundleStore
from pipelines.evaluation.datasets import Item
from pipelines.evaluation.gate import Policy, Rule, gate
from pipelines.evaluation.metric import FAMILIES, Metric, find_metric, list_metrics, primary_metric
from pipelines.evaluation.metrics.citations import citation_recall
from pipelines.evaluation.metrics.correct import MATCHERS, correct
from pipelines.evaluation.metrics.latency import reasoning_tokens, think
from pipelines.evaluation.report.writing import write_report
from tests.unit.pipelines.evaluation.runs import RIGHT, Said, answer_in_context, question, run

DROPPED_IN = '''
from pipelines.evaluation.metric import NOT_EMPTY, AnswerInContext, answer_metric


@answer_metric(
    "shouting", family="shape", order=99, higher_is_better=False, heading="capitals", answers=(NOT_EMPTY,)
)
def shouting(answer: AnswerInContext) -> float:
    """The share of an answer's words in capitals."""
    words = answer.text.split()
    return sum(word.isupper() for word in words) / len(words)


@answer_metric(
    "reading time", family="latency", order=99, higher_is_better=False, unit="ms", as_ratio=True,
    percentiles="all", curve="250 words a minute",
)
def reading_time(answer: AnswerInContext) -> float:
    """The time to read the answer."""
    return 240.0 * len(answer.text.split())
'''


@pytest.fixture
def dropped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file beside the metrics' own; the folder is listed anew."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "shouting.py").write_text(DROPPED_IN)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    list_metrics.cache_clear()
    yield folder
    list_metrics.cache_clear()
    for name in [name for name in sys.modules if name.startswith(f"{metrics.__name__}.shouting")]:
        del sys.modules[name]


def test_a_metric_file_dropped_into_the_folder_is_in_results_report_and_gate(
    dropped_in: Path, tmp_path: Path
) -> None:
    asked = [question(f"q{number}") for number in range(8)]
    bundle = run(asked, {"small": [RIGHT] * 8, "large": [Said("IT IS 7.")] * 8})
    results = compute_results(bundle)
    [found] = [
        result for result in results.metrics if (result.scope, result.metric) == ("overall", "shouting")
    ]
    assert [(rate.arm, rate.value) for rate in found.rates] == [("small", 0.0), ("large", 0.666666667)]
    assert [delta.difference for delta in found.deltas] == [0.666666667]
    assert "in capitals" in found.deltas[0].verdict
    assert results.metrics[-1].metric == "shouting"
    assert {ratio.ratio for ratio in results.ratios if ratio.metric == "reading time"} == {1.0}
    medians = [each for each in results.percentiles if (each.figure, each.level) == ("reading time", 0.5)]
    assert [(each.arm, each.value) for each in medians] == [("small", 720.0), ("large", 720.0)]
    assert all("shouting" in answer.scores for answer in results.questions)

    store = BundleStore(tmp_path / "run")
    store.begin(bundle.manifest, bundle.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in bundle.contexts:
            contexts.append(context)
        for answer in bundle.answers:
            answers.append(answer)
    write_results(store.folder, compute_results(store.finish()))
    write_report(store.folder)
    assert "shouting" in (store.folder / "report.json").read_text()
    for name in ("report.html", "report.md"):
        assert "capitals" in (store.folder / name).read_text(), name
    curves = json.loads((store.folder / "report.json").read_text())["curves"]
    assert {curve["figure"] for curve in curves} == {"ttft", "ttfo", "e2el", "reading time"}

    decision = gate(results, Policy(candidate="large", rules=(Rule(metric="shouting", max=0.5),)))
    # eight answers that score alike carry no interval, so that a bound is neither kept nor broken
    assert [(check.metric, check.outcome) for check in decision.checks] == [("shouting", "undecided")]


def test_two_metrics_of_one_name_are_refused(dropped_in: Path) -> None:
    (dropped_in / "shouting.py").write_text(DROPPED_IN.replace('"shouting"', '"words"'))
    with pytest.raises(ValueError, match="'words'"):
        list_metrics()


def test_metrics_are_by_family_and_the_primary_one_is_first() -> None:
    found = list_metrics()
    families = [metric.family for metric in found]
    assert families == sorted(families, key=list(FAMILIES).index)
    assert [metric.name for metric in found if metric.primary] == ["correct", "e2el"]
    for family in ("quality", "latency"):
        first = next(metric for metric in found if metric.family == family)
        assert first is primary_metric(family)


def test_every_metric_says_what_it_is() -> None:
    for metric in list_metrics():
        assert metric.description.endswith("."), metric.name
        assert metric.heading, metric.name
        assert metric.unit in {"", "ms", "tokens", "words"}, metric.name
    orders = [(metric.family, metric.order) for metric in list_metrics()]
    assert len(set(orders)) == len(orders)
    assert all((matcher.__doc__ or "").strip() for matcher in MATCHERS.values())


def test_names_for_tables_and_sentences_follow_from_the_name() -> None:
    plain = Metric(name="words", family="shape", order=1, higher_is_better=None)
    assert (plain.heading, plain.label, plain.title) == ("words", "words", "words")
    headed = Metric(name="ttft", family="latency", order=1, higher_is_better=False, heading="TTFT")
    assert (headed.heading, headed.label, headed.title) == ("TTFT", "TTFT", "ttft")
    assert find_metric("ttft") in list_metrics()
    assert find_metric("no such metric") is None


def test_a_metric_has_no_score_where_it_does_not_apply() -> None:
    assert correct(answer_in_context(Said("It is 7."), kind="free", answers=())) is None
    assert citation_recall(answer_in_context(Said("It is 7 [1]."), "The number is 7.")) is None
    cited = Said("The number is 7 [1].", prompt="instruct-cite")
    assert citation_recall(answer_in_context(cited, "The number is 7.")) == 1.0
    assert citation_recall(answer_in_context(cited)) is None
    assert reasoning_tokens(answer_in_context(Said("7", thought=0, reasoning="Hmm"))) is None
    assert think(answer_in_context(Said("7", think=None, reasoning="Hmm"))) is None
    assert think(answer_in_context(Said("7", think=None))) == 0.0


def test_the_scores_of_a_bare_text() -> None:
    scores = score_text(Item(id="x", question="?", kind="numeric", answers=("7",)), "I don't know.")
    assert (scores["correct"], scores["abstained"], scores["words"]) == (0.0, 1.0, 3.0)
    assert "ttft" not in scores
