"""What a release rests on: workflows that pin what they run, requirements with hashes, one version, a stamped chart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.check import (
    CHART,
    SERVICES,
    check_changelog,
    check_labels,
    check_requirements,
    check_versions,
    read_notes,
)
from tests.release.content import ENTERS, ROOT, hash_content, name_content, read_version
from tests.release.requirements import FOLDER, IMAGES, list_tags
from tests.release.stamp import stamp_chart

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
READ_ONLY = {"contents": "read"}


def read_workflow(path: Path) -> dict[Any, Any]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def list_steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    used = [step["uses"] for step in list_steps(read_workflow(path)) if "uses" in step]
    assert used
    assert all(PINNED.match(action) for action in used)
    text = path.read_text()
    for action in used:
        assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+\n", text), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_a_job_says_what_more_it_needs(path: Path) -> None:
    workflow = read_workflow(path)
    assert workflow["permissions"] == READ_ONLY
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    for step in list_steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # an expression in a script is text that somebody else may have written
        assert "${{" not in step.get("run", ""), step


def test_ci_runs_what_anybody_runs() -> None:
    runs = [
        step["run"]
        for step in list_steps(read_workflow(ROOT / ".github" / "workflows" / "ci.yml"))
        if "run" in step
    ]
    assert ".ci/run" in runs
    assert "make release-check" in runs


def test_the_release_builds_every_image_with_its_requirements_and_signs_it() -> None:
    workflow = read_workflow(ROOT / ".github" / "workflows" / "release.yml")
    assert workflow[True]["push"] == {"tags": ["v*"]}  # YAML 1.1 reads `on` as true
    images, chart = workflow["jobs"]["images"], workflow["jobs"]["chart"]
    built = images["strategy"]["matrix"]["include"]
    assert {one["service"] for one in built} == set(SERVICES)
    assert {one["service"] + one["extras"] for one in built} <= set(IMAGES)
    assert "check" in images["needs"]
    assert set(chart["needs"]) == {"check", "images"}
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    for told in (
        "cosign sign",
        "cosign attest",
        "cosign verify",
        "provenance: mode=max",
        "spdx-json",
        "SHA256SUMS",
    ):
        assert told in text


def test_requirements_are_those_of_the_constraints_each_with_a_hash() -> None:
    assert list(check_requirements()) == []
    for path in FOLDER.glob("*.txt"):
        pins = [part for part in path.read_text().split("\n") if part and not part.startswith(("#", " "))]
        assert all(part.endswith("\\") for part in pins), f"{path.name}: a package without a hash"
        assert all(
            re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
            for line in path.read_text().split("\n")
            if line.startswith(" ")
        )
    assert not any("not for" in (FOLDER / f"{name}.txt").read_text() for name in IMAGES), (
        "docs/release.md says both platforms"
    )


def test_a_version_that_the_constraints_do_not_have_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "requirements")
    build = folder / "build.txt"
    build.write_text(re.sub(r"hatchling==\S+", "hatchling==0.0.1", build.read_text()))
    (folder / "reranking.txt").unlink()
    gateway = folder / "gateway,cli,mcp.txt"
    gateway.write_text(re.sub(r"redis==\S+ \\\n    --hash=\S+\n", "", gateway.read_text()))
    monkeypatch.setattr("tests.release.check.FOLDER", folder)
    said = list(check_requirements())
    assert any("build.txt: hatchling==0.0.1" in one for one in said)
    assert "reranking.txt is missing: make requirements" in said
    assert "gateway,cli,mcp.txt lacks redis>=6: make requirements" in said


def test_wheels_are_chosen_as_pip_does_in_the_image() -> None:
    tags = [str(tag) for tag in list_tags("x86_64", 11, 36)]
    assert "cp311-cp311-manylinux_2_36_x86_64" in tags
    assert "py3-none-any" in tags
    assert not any("manylinux_2_39" in tag or "aarch64" in tag for tag in tags)


def test_everything_has_one_version_and_the_labels() -> None:
    assert list(check_versions()) == []
    assert list(check_labels()) == []
    assert list(check_changelog()) == []
    heading, notes = read_notes(read_version())
    assert notes.startswith("- ")
    wrong = list(check_changelog("v9.9.9"))
    assert any("the tag is v9.9.9" in one for one in wrong)
    if "unreleased" in heading:
        assert any("has no date" in one for one in wrong)
    with pytest.raises(ValueError, match=r"no heading '## 9\.9\.9'"):
        read_notes("9.9.9")


def test_a_tag_names_what_enters_the_build(tmp_path: Path) -> None:
    for name in ENTERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).mkdir() if name in {"services", "pipelines"} else (tmp_path / name).write_text(
            'version = "1.2.3"\n'
        )
    first = name_content(tmp_path)
    assert re.fullmatch(r"1\.2\.3-[0-9a-f]{12}", first)
    (tmp_path / "services" / "__pycache__").mkdir()
    (tmp_path / "services" / "__pycache__" / "a.pyc").write_text("made")
    assert name_content(tmp_path) == first
    (tmp_path / "services" / "a.py").write_text("1")
    changed = hash_content(tmp_path)
    assert changed != first.rpartition("-")[2]
    (tmp_path / "services" / "a.py").rename(tmp_path / "services" / "b.py")
    assert hash_content(tmp_path) != changed
    ignored = (ROOT / ".dockerignore").read_text()
    assert all(f"!{name}\n" in ignored for name in ENTERS)


def test_the_chart_of_a_release_pins_every_image(tmp_path: Path) -> None:
    digests = {name: f"sha256:{number:064x}" for number, name in enumerate(SERVICES)}
    stamp_chart("ghcr.io/owner", digests, tmp_path / "ragline")
    values = yaml.safe_load((tmp_path / "ragline" / "values.yaml").read_text())
    assert values["image"]["registry"] == "ghcr.io/owner"
    assert values["image"]["digests"] == digests
    untouched = yaml.safe_load((CHART / "values.yaml").read_text())
    assert {**values, "image": None} == {**untouched, "image": None}
    with pytest.raises(ValueError, match="no digest of gateway"):
        stamp_chart("ghcr.io/owner", {**digests, "gateway": "latest"}, tmp_path / "other")
