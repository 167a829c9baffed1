"""People's marks: made blind, gone on with, bound to their answers, and what they come to."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.files import ANSWERS
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.labels import LABELS, order_answers, read_labels
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from pipelines.evaluation.report.building import build_report
from pipelines.evaluation.report.writing import render_html, render_markdown
from pipelines.evaluation.statistics.ppi import label_powered_mean
from services.cli.commands.label import describe_labels, label, list_tasks, renew_results
from services.cli.console import Output
from services.cli.main import app
from services.core.errors import InvalidRequest
from tests.unit.pipelines.evaluation.runs import Said, question, run

COUNT = 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """50 questions; small is right on 20 by the scorer, large on 35."""
    asked = [question(f"q{number}") for number in range(COUNT)]
    replies = {
        "small": [Said("It is 7." if number < 20 else "It is 3.") for number in range(COUNT)],
        "large": [Said("It is 7, yes." if number < 35 else "It is 3, yes.") for number in range(COUNT)],
    }
    made = run(asked, replies)
    store = BundleStore(tmp_path / "run")
    store.begin(made.manifest, made.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in made.contexts:
            contexts.append(context)
        for answer in made.answers:
            answers.append(answer)
    store.finish()
    return tmp_path / "run"


def press(keys: str) -> Callable[[], str]:
    """One key after the other, then q."""
    left = iter(keys)
    return lambda: next(left, "q")


def shown() -> tuple[Output, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, width=200)
    return Output(console, console), text


def test_marks_are_made_blind_in_an_order_that_is_the_same_again(folder: Path) -> None:
    output, text = shown()
    assert label(folder, output, press("ynnyu")) == 5
    printed = text.getvalue()
    assert "small" not in printed
    assert "large" not in printed
    assert "reference: 7" in printed
    assert "[1] The number is 7." in printed
    bundle = read_bundle(folder)
    assert [(mark.aspect, mark.mark) for mark in bundle.labels] == [
        ("correct", "yes"),
        ("supported", "no"),
        ("correct", "no"),
        ("supported", "yes"),
        ("correct", "unsure"),
    ]
    ordered = order_answers(bundle)
    assert [mark.key for mark in bundle.labels] == [ordered[place].key for place in (0, 0, 1, 1, 2)]
    assert ordered[0].question == ordered[1].question
    assert [answer.question for answer in ordered] != sorted(answer.question for answer in ordered)
    assert {answer.arm for answer in ordered[::2]} == {"small", "large"}


def test_a_session_goes_on_where_the_last_one_ended_and_may_go_back(folder: Path) -> None:
    output, text = shown()
    label(folder, output, press("yn"))
    with (folder / LABELS).open("ab") as file:
        file.write(b'{"question": "cut')  # a kill in the middle of a line
    label(folder, output, press("ybnx?u"))  # what is no key is asked again
    assert "2 of 200 marks are made" in text.getvalue()
    bundle = read_bundle(folder)
    assert [mark.mark for mark in bundle.labels] == ["yes", "no", "yes", "no", "unsure"]
    assert bundle.labels[2].key == bundle.labels[3].key  # gone back, the later one holds
    everything = label(folder, output, press("y" * 1000))
    assert everything == 200 - 4
    assert label(folder, output, press("y")) == 0
    assert "every answer is marked" in text.getvalue()


def test_keys_may_come_from_a_pipe_that_ends(folder: Path) -> None:
    done = CliRunner().invoke(app, ["label", str(folder)], input="y\nn u")
    assert done.exit_code == 0, done.output
    assert [mark.mark for mark in read_bundle(folder).labels] == ["yes", "no", "unsure"]
    assert "3 marks made, 197 left" in done.output
    assert read_results(folder).labels is not None


def mark_all(folder: Path, marks: int, wrong: frozenset[str] = frozenset()) -> Bundle:
    """Mark the first so many questions' answers as the scorer does, but for the questions of `wrong`."""
    keys = ""
    for task in list(list_tasks(read_bundle(folder)))[: 4 * marks]:
        right = "7" in task.answer.reply.content
        flip = task.question.item.id in wrong
        keys += ("y" if right != flip else "n") if task.aspect == "correct" else "y"
    label(folder, shown()[0], press(keys))
    return read_bundle(folder)


def test_the_fingerprint_of_the_run_stays_and_results_name_the_marks(folder: Path) -> None:
    before = compute_results(read_bundle(folder))
    assert before.labels is None
    bundle = mark_all(folder, 3)
    after = compute_results(bundle)
    assert fingerprint(bundle) == before.bundle == after.bundle
    assert after.metrics == before.metrics
    assert after.labels is not None
    assert (after.labels.marked, after.labels.estimates) == (6, ())
    assert [(error.metric, error.arm, error.wrong, error.n) for error in after.labels.errors] == [
        ("correct", "small", 0, 3),
        ("correct", "large", 0, 3),
    ]
    assert (
        list(describe_labels(after.labels))[-1] == "estimates need 30 marks of an arm: 6 answers are marked"
    )


def test_from_thirty_marks_on_the_rates_are_those_of_people(folder: Path) -> None:
    """Of small's right answers two are not right for a person: the scorer let them pass."""
    ordered = [
        task.question.item.id for task in list_tasks(read_bundle(folder)) if task.answer.arm == "small"
    ]
    first = list(dict.fromkeys(ordered))[:40]
    passed = [name for name in first if int(name[1:]) < 20][:2]
    bundle = mark_all(folder, 40, frozenset(passed))
    found = compute_results(bundle).labels
    assert found is not None
    errors = {(error.metric, error.arm): error for error in found.errors}
    assert (errors["correct", "small"].wrong, errors["correct", "small"].n) == (2, 40)
    assert errors["correct", "small"].too_good == 2
    estimates = {(each.arm, each.against): each for each in found.estimates if each.metric == "correct"}
    small = estimates["small", ""]
    assert (small.scored, small.n, small.labelled) == (0.4, 50, 40)
    assert small.value == pytest.approx(0.35, abs=0.03)
    assert small.low < 0.35 < small.high
    assert 0 < small.weight <= 1
    gain = estimates["large", "small"]
    assert gain.scored == 0.3
    assert gain.low <= gain.value <= gain.high
    assert compute_results(bundle) == compute_results(read_bundle(folder))


def test_marks_of_other_answers_are_refused(folder: Path) -> None:
    mark_all(folder, 2)
    path = folder / ANSWERS
    path.write_bytes(path.read_bytes().replace(b"It is 7.", b"It is 9."))
    path.write_bytes(path.read_bytes().replace(b"It is 3.", b"It is 9."))
    with pytest.raises(InvalidRequest, match="is not the one that was marked"):
        compute_results(read_bundle(folder))
    with pytest.raises(InvalidRequest, match="is not the one that was marked"):
        label(folder, shown()[0], press("y"))


def test_the_report_and_the_terminal_say_it(folder: Path) -> None:
    bundle = mark_all(folder, 35)
    report = build_report(bundle, compute_results(bundle))
    none = dict.fromkeys(("forest", "frontier", "coverage", "waterfall", "ecdf", "thinking", "goodput"))
    html, markdown = render_html(report, none), render_markdown(report, none)
    output, text = shown()
    renew_results(folder, output)
    assert "correct, small: the scorer is wrong on 0 of 35" in text.getvalue()
    assert "correct, large against small: +" in text.getvalue()
    assert "What people mark" in html
    assert "| correct | large against small |" in markdown
    assert len(read_labels(folder)) == 4 * 35
    assert read_results(folder).labels is not None


def test_a_mean_of_marks_is_corrected_whatever_the_scorer_is_worth() -> None:
    generator = np.random.default_rng(4)
    values = []
    for _ in range(200):
        right = (generator.random(120) < 0.6) * 1.0
        scored = np.where((right == 0) & (generator.random(120) < 0.5), 1.0, right)
        labels = [float(mark) if place < 40 else None for place, mark in enumerate(right)]
        found = label_powered_mean(scored.tolist(), labels, [""] * 120)
        assert found is not None
        values.append((found.value, found.low <= 0.6 <= found.high, found.scored))
    mean, covered, biased = np.mean(values, axis=0)
    assert biased > 0.77
    assert mean == pytest.approx(0.6, abs=0.02)
    assert 0.91 <= covered <= 0.99
    assert label_powered_mean([1.0] * 29, [1.0] * 29, [""] * 29) is None
    assert label_powered_mean([1.0] * 40, [1.0] * 40, ["one"] * 40) is None
    useless = label_powered_mean([1.0] * 60, [1.0, 0.0] * 15 + [None] * 30, [""] * 60)
    assert useless is not None
    assert (useless.value, useless.weight) == (0.5, 0.0)
