"""`ragline replay` and `ragline gate` over a bundle on disk."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.recorded import write_results
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from pipelines.evaluation.report.seal import make_seal
from services.cli.commands.replay import replay
from services.cli.console import Output
from services.cli.main import app
from services.core.errors import InvalidRequest, NotFound
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, question, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of eight questions: small has six right, large seven."""
    asked = [question(f"q{number}", group=f"doc {number % 4}") for number in range(8)]
    slow = Said("It is 7.", e2el=1000 / 3)
    made = run(asked, {"small": [RIGHT] * 6 + [WRONG] * 2, "large": [slow] * 7 + [WRONG]})
    store = BundleStore(tmp_path / "run")
    store.begin(made.manifest, made.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in made.contexts:
            contexts.append(context)
        for answer in made.answers:
            answers.append(answer)
    write_results(store.folder, compute_results(store.finish()))
    return store.folder


def replayed(folder: Path, *, check: bool = False) -> tuple[bool, str]:
    text = StringIO()
    console = Console(file=text, width=200)
    return replay(folder, Output(console, console), check=check), text.getvalue()


def test_a_replay_gives_the_same_bytes_in_any_process_and_order(folder: Path) -> None:
    recorded = (folder / "results.json").read_bytes()
    assert replayed(folder, check=True) == (
        True,
        "every figure is as it was recorded, bit for bit (16 answers to 8 questions)\n",
    )
    lines = (folder / "answers.jsonl").read_bytes().splitlines(keepends=True)
    mixed = random.Random(1).sample(lines, len(lines))
    assert mixed != lines
    (folder / "answers.jsonl").write_bytes(b"".join(mixed))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ragline")), "replay", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "bit for bit" in done.stdout
    assert (folder / "results.json").read_bytes() == recorded


def test_an_answer_that_was_changed_is_noticed(folder: Path) -> None:
    answers = folder / "answers.jsonl"
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    lines[-1]["reply"]["content"] = "It is 7."
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recorded = (folder / "results.json").read_bytes()
    held, said = replayed(folder, check=True)
    assert not held
    assert "metrics[overall, correct] rates[large] value: 0.875 is now 1.0" in said
    assert "questions[mine/q7, large, 0] scores correct: 0.0 is now 1.0" in said or "more" in said
    assert "nothing was written" in said
    assert (folder / "results.json").read_bytes() == recorded
    (folder / "report.html").write_text("of the answers as they were")
    held, said = replayed(folder)
    assert not held
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert "has the figures of this replay now" in said
    assert replayed(folder)[0]


def test_an_answer_that_was_reworded_without_another_score_is_noticed_too(folder: Path) -> None:
    answers = folder / "answers.jsonl"
    answers.write_text(answers.read_text().replace("It is 7.", "It's a 7.", 1))
    held, said = replayed(folder, check=True)
    assert not held
    assert said.startswith("bundle: ")


def test_without_recorded_results_there_is_nothing_to_compare_with(folder: Path) -> None:
    recorded = (folder / "results.json").read_bytes()
    (folder / "results.json").unlink()
    with pytest.raises(NotFound, match="ragline replay"):
        replayed(folder, check=True)
    held, said = replayed(folder)
    assert held
    assert "none recorded before" in said
    assert (folder / "results.json").read_bytes() == recorded


def test_results_of_another_shape_are_written_anew_and_said(folder: Path) -> None:
    (folder / "results.json").write_text('{"baseline": "small"}')
    with pytest.raises(InvalidRequest, match="another version wrote it"):
        replayed(folder, check=True)
    held, said = replayed(folder)
    assert not held
    assert "another version wrote it" in said
    assert replayed(folder, check=True)[0]


@pytest.mark.parametrize(
    ("rule", "code", "says"),
    [
        ("max_failed = 0", 0, "large passes against small"),
        (
            '[[rules]]\nmetric = "correct"\nmax = 0.01',
            1,
            "large does not pass against small: 1 of 1 do not hold",
        ),
        (
            '[[rules]]\nmetric = "correct"\nmin = 0.9',
            3,
            "large is not decided against small: 1 of 1 do not hold",
        ),
        ("max_faild = 0", 2, "max_faild: there is no such key"),
        ('[[rules]]\nmetric = "truth"\nmin = 0.9', 2, "has no 'truth'"),
    ],
)
def test_the_gate_s_exit_code_is_its_decision(folder: Path, rule: str, code: int, says: str) -> None:
    policy = folder.parent / "policy.toml"
    policy.write_text(f'candidate = "large"\n{rule}\n')
    done = CliRunner().invoke(app, ["gate", str(folder), "--policy", str(policy)])
    assert done.exit_code == code
    assert says in done.output.replace("\n", " ")


def test_the_gate_in_json_and_without_a_bundle(folder: Path) -> None:
    policy = folder.parent / "policy.toml"
    policy.write_text('candidate = "large"\nmax_failed = 0\n')
    done = CliRunner().invoke(app, ["gate", str(folder), "--policy", str(policy), "--json"])
    decision = json.loads(done.stdout)
    assert (decision["passed"], decision["checks"][0]["asked"]) == (True, "max_failed")
    (folder / "manifest.json").unlink()
    done = CliRunner().invoke(app, ["gate", str(folder), "--policy", str(policy)])
    assert done.exit_code == 2
    assert "is no bundle" in done.output


def test_a_report_that_was_changed_fails_the_check(folder: Path) -> None:
    seal = make_seal(
        dict.fromkeys(("report.html", "report.md", "report.json"), b"as written"),
        fingerprint(read_bundle(folder)),
    )
    (folder / "report.sha256").write_bytes(seal.replace(b"drawn by", b"drawn by another"))
    for name in ("report.html", "report.md", "report.json"):
        (folder / name).write_bytes(b"as written")
    assert replayed(folder, check=True)[0]
    (folder / "report.html").write_bytes(b"as changed")
    held, said = replayed(folder, check=True)
    assert not held
    assert "report.html was changed after it was written" in said.replace("\n", " ")
