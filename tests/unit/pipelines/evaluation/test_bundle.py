"""A bundle on disk: what is written is read, whatever a kill leaves is continued, the rest is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pipelines.evaluation.bundle.files import ANSWERS, CONTEXTS, MANIFEST, QUESTIONS
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from services.core.errors import InvalidRequest, NotFound
from tests.evaluation_run import run
from tests.unit.pipelines.evaluation.bundles import bundle, manifest


def write(folder: Path, made: Bundle) -> BundleStore:
    store = BundleStore(folder)
    store.begin(made.manifest, made.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in made.contexts:
            contexts.append(context)
        for answer in made.answers:
            answers.append(answer)
    return store


def shuffled(made: Bundle) -> Bundle:
    generator = random.Random(3)
    return made.model_copy(
        update={
            "contexts": tuple(generator.sample(made.contexts, len(made.contexts))),
            "answers": tuple(generator.sample(made.answers, len(made.answers))),
        }
    )


def test_what_is_written_is_read_in_its_order(tmp_path: Path) -> None:
    made = bundle()
    store = write(tmp_path / "run", shuffled(made))
    assert read_bundle(tmp_path / "run") == made
    before = (tmp_path / "run" / ANSWERS).read_bytes()
    assert store.finish() == made
    assert (tmp_path / "run" / ANSWERS).read_bytes() != before
    assert read_bundle(tmp_path / "run") == made
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        [MANIFEST, QUESTIONS, CONTEXTS, ANSWERS]
    )


def test_a_bundle_that_was_recorded_under_earlier_names_is_the_same_one(tmp_path: Path) -> None:
    """Its citations were `annotations`, and did not say where a sentence begins."""
    made = run(questions=12)
    assert fingerprint(made) == "35d4d7134635bd8b1555a22e4667705d859601204c2395c907560937127c33af"
    write(tmp_path, made)
    path = tmp_path / ANSWERS
    recorded = path.read_text().replace('"citations":', '"annotations":').replace('"start_index":0,', "")
    assert '"annotations":[{"type"' in recorded
    path.write_text(recorded)
    again = read_bundle(tmp_path)
    assert sorted(again.answers, key=str) == sorted(made.answers, key=str)
    assert fingerprint(again) == fingerprint(made)


def test_a_torn_last_line_is_dropped_and_written_again(tmp_path: Path) -> None:
    made = bundle()
    store = write(tmp_path, made)
    whole = (tmp_path / ANSWERS).read_bytes()
    for cut in (1, 40, len(whole.splitlines(keepends=True)[-1]) - 1):
        (tmp_path / ANSWERS).write_bytes(whole[:-cut])
        with pytest.raises(InvalidRequest, match="middle of a line"):
            read_bundle(tmp_path)
        there = store.read_so_far()
        assert there is not None
        assert there.answers == made.answers[:-1]
        with store.open_answers() as answers:
            answers.append(made.answers[-1])
        assert read_bundle(tmp_path) == made


def test_nothing_is_there_before_the_manifest(tmp_path: Path) -> None:
    store = BundleStore(tmp_path / "run")
    assert store.read_so_far() is None
    made = bundle()
    store.begin(made.manifest, made.questions)
    there = store.read_so_far()
    assert there is not None
    assert (there.manifest, there.questions, there.answers) == (made.manifest, made.questions, ())
    (tmp_path / "run" / MANIFEST).unlink()  # killed just before it was written
    assert store.read_so_far() is None
    store.begin(made.manifest, made.questions)
    assert store.read_so_far() == there


def test_other_people_s_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"thesis\.txt.*--out"):
        BundleStore(tmp_path).begin(manifest(), ())
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        BundleStore(tmp_path / "file").begin(manifest(), ())


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def damage(folder: Path, how: str) -> None:
    if how == "no manifest":
        (folder / MANIFEST).unlink()
    elif how == "no answers":
        (folder / ANSWERS).unlink()
    elif how == "another format":
        edit(folder / MANIFEST, '"format": 1', '"format": 99')
    elif how == "no format":
        (folder / MANIFEST).write_text("[]")
    elif how == "not JSON":
        (folder / MANIFEST).write_text("{")
    elif how == "unknown field":
        content = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(content | {"judge": "me"}))
    elif how == "a line that is not one":
        edit(folder / ANSWERS, '"answered"', '"invented"')
    elif how == "a stranger's answer":
        edit(folder / ANSWERS, '"arm":"small"', '"arm":"huge"')
    elif how == "an answer twice":
        lines = (folder / ANSWERS).read_text()
        (folder / ANSWERS).write_text(lines + lines.split("\n")[0] + "\n")
    elif how == "a stranger's context":
        edit(folder / CONTEXTS, "mine/one", "mine/three")
    elif how == "unfinished":
        (folder / ANSWERS).write_text(
            "".join(f"{line}\n" for line in (folder / ANSWERS).read_text().split("\n")[:3])
        )


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no manifest", "is no bundle"),
        ("no answers", r"answers\.jsonl: a bundle has one"),
        ("another format", r"format 99, written by Ragline 0\.1\.0; this one reads format 1"),
        ("no format", "format None"),
        ("not JSON", r"manifest\.json is not JSON"),
        ("unknown field", r"manifest\.json: judge"),
        ("a line that is not one", r"answers\.jsonl, line 1: reply\.status"),
        ("a stranger's answer", "not part of the run"),
        ("an answer twice", "is there twice"),
        ("a stranger's context", "none of the questions"),
        ("unfinished", "has 3 of 8 answers; the same 'ragline eval' command"),
    ],
)
def test_what_is_no_whole_bundle_is_refused(tmp_path: Path, how: str, says: str) -> None:
    write(tmp_path, bundle())
    damage(tmp_path, how)
    with pytest.raises((InvalidRequest, NotFound), match=says):
        read_bundle(tmp_path)
