"""A folder of runs as readers see it: names, links, states, and runs that grow while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.evaluation.browsing import folder
from pipelines.evaluation.browsing.folder import RunFolder
from pipelines.evaluation.browsing.questions import RunReader
from pipelines.evaluation.browsing.records import QuestionFilter, Show
from pipelines.evaluation.bundle.files import ANSWERS, RESULTS, encode_line
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import BundleStore
from services.core.errors import InvalidRequest, NotFound
from tests.evaluation_run import ARMS, run, write_run

ALL = QuestionFilter(limit=500)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished run `first`, which nothing changes."""
    root = tmp_path_factory.mktemp("runs")
    write_run(root / "first", questions=12, arms=ARMS[:2])
    return root


def begin(folder: Path, answers: int) -> Bundle:
    """Begin a run of twelve questions, with that many answers."""
    made = run(questions=12, arms=ARMS[:2])
    BundleStore(folder).begin(made.manifest, made.questions)
    (folder / "contexts.jsonl").write_bytes(b"".join(map(encode_line, made.contexts)))
    (folder / ANSWERS).write_bytes(b"".join(map(encode_line, made.answers[:answers])))
    return made


def test_a_finished_run_has_its_verdict_and_its_questions_differing_first(finished: Path) -> None:
    reader = RunReader(RunFolder(finished))
    (summary,) = reader.runs.list_runs().runs
    assert (summary.name, summary.state, summary.kind) == ("first", "finished", "eval")
    assert (summary.answers, summary.due, summary.arms) == (24, 24, ("small", "large"))
    assert "large" in summary.sentences[0]
    shown = reader.read_run("first")
    assert {metric.scope for metric in shown.metrics} == {"overall"}
    assert [arm.asked for arm in shown.progress] == [12, 12]
    page = reader.list_questions("first", ALL)
    differs = [question.differs for question in page.questions]
    assert differs == sorted(differs, reverse=True)
    assert 0 < sum(differs) == page.counts["differ"] < page.total == 12
    found = reader.read_question("first", page.questions[0].id)
    assert (found.question, len(found.answers)) == (page.questions[0].id, 2)
    with pytest.raises(NotFound, match="has no question 'logic/none'"):
        reader.read_question("first", "logic/none")


@pytest.mark.parametrize("show", ["differ", "gained", "lost", "same", "failed", "unanswered"])
def test_what_a_filter_counts_is_what_it_shows(finished: Path, show: Show) -> None:
    reader = RunReader(RunFolder(finished))
    page = reader.list_questions("first", ALL.model_copy(update={"show": show}))
    assert page.total == len(page.questions) == page.counts[show]


def test_questions_are_filtered_by_set_and_words_and_come_in_pages(finished: Path) -> None:
    reader = RunReader(RunFolder(finished))
    logic = reader.list_questions("first", QuestionFilter(dataset="logic", limit=3))
    assert logic.total == 4
    assert {question.dataset for question in logic.questions} == {"logic"}
    rest = reader.list_questions("first", QuestionFilter(dataset="logic", first=3))
    assert len({question.id for question in (*logic.questions, *rest.questions)}) == 4
    assert reader.list_questions("first", QuestionFilter(text=" PALLET holds")).total == 4


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/etc", ".hidden", "a\0b", "a\nb", "x" * 256]
)
def test_a_name_is_one_folder(finished: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name of a run"):
        RunFolder(finished).find(name)


def test_a_link_out_of_the_folder_is_not_read(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(finished / "first")
    begin(tmp_path / "runs" / "own", 0)
    (tmp_path / "runs" / "own" / "report.html").symlink_to("/etc/hostname")
    reader = RunReader(RunFolder(tmp_path / "runs"))
    for name, what in (("linked", "the run 'linked' is a link out"), ("own", "report.html of the run")):
        with pytest.raises(InvalidRequest, match=what):
            reader.list_questions(name, ALL)
        assert reader.read_run(name).summary.state == "damaged"
    # the folder of runs itself may be a link
    (tmp_path / "elsewhere").symlink_to(finished)
    assert RunFolder(tmp_path / "elsewhere").summarise("first").state == "finished"


def test_a_run_grows_under_its_reader(tmp_path: Path) -> None:
    grown = tmp_path / "growing"
    made = begin(grown, 5)
    reader = RunReader(RunFolder(tmp_path))
    with BundleStore(grown).lock():
        seen = reader.read_run("growing")
        assert (seen.summary.state, seen.summary.answers, seen.summary.due) == ("running", 5, 24)
        assert reader.list_questions("growing", ALL).counts["unanswered"] == 10
        line = encode_line(made.answers[5])
        with (grown / ANSWERS).open("ab") as file:
            file.write(line[:40])  # half of it: it is not there yet
            file.flush()
            assert reader.read_run("growing").summary.answers == 5
            assert reader.list_questions("growing", ALL).counts["unanswered"] == 10
            file.write(line[40:])
        assert reader.read_run("growing").summary.answers == 6
        assert reader.list_questions("growing", ALL).counts["unanswered"] == 9
    stopped = reader.read_run("growing").summary
    assert stopped.state == "stopped"
    assert "the same command goes on" in stopped.detail


def test_the_answers_of_a_file_that_is_written_anew_are_counted_once(tmp_path: Path) -> None:
    folder = tmp_path / "anew"
    made = begin(folder, 24)
    runs = RunFolder(tmp_path)
    assert runs.summarise("anew").answers == 24
    part = folder / "part"
    part.write_bytes(b"".join(map(encode_line, reversed(made.answers))))
    part.replace(folder / ANSWERS)
    assert runs.summarise("anew").answers == 24


def test_a_verdict_is_read_again_only_when_it_was_written_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "own", 24)
    (tmp_path / "own" / RESULTS).write_bytes((finished / "first" / RESULTS).read_bytes())
    runs = RunFolder(tmp_path)
    said = runs.summarise("own").sentences
    monkeypatch.setattr(folder, "read_results", lambda path: pytest.fail("read again"))
    assert runs.list_runs().runs[0].sentences == said
    monkeypatch.undo()
    (tmp_path / "own" / RESULTS).unlink()
    assert runs.summarise("own").sentences == ()


def test_a_damaged_run_says_what_is_wrong_and_hides_no_other(finished: Path, tmp_path: Path) -> None:
    begin(tmp_path / "whole", 3)
    for name in ("manifest", "answers", "results"):
        begin(tmp_path / name, 3)
    (tmp_path / "manifest" / "manifest.json").write_text("{")
    with (tmp_path / "answers" / ANSWERS).open("ab") as file:
        file.write(b'{"question": 7}\n')
    (tmp_path / "results" / RESULTS).write_text("[]")
    (tmp_path / "no run").mkdir()
    reader = RunReader(RunFolder(tmp_path))
    found = {run.name: run for run in reader.runs.list_runs().runs}
    assert sorted(found) == ["answers", "manifest", "results", "whole"]
    assert found["whole"].state == "stopped"
    for name, says in (
        ("manifest", "manifest/manifest.json is not JSON"),
        ("answers", "answers/answers.jsonl, line 4 is no answer"),
        ("results", "results/results.json cannot be read"),
    ):
        assert (found[name].state, str(tmp_path) in found[name].detail) == ("damaged", False)
        assert says in found[name].detail
        assert reader.read_run(name).summary.detail == found[name].detail
    with pytest.raises(InvalidRequest, match=r"answers.jsonl, line 4"):
        reader.list_questions("answers", ALL)


def test_a_folder_that_is_not_there_yet_is_said_to_be_none(tmp_path: Path) -> None:
    listed = RunFolder(tmp_path / "runs").list_runs()
    assert listed.runs == ()
    assert "a run makes it" in listed.detail
