"""`ragline ground` as a process, with the embedding model in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.commands.ground import read_claims
from services.cli.errors import UsageError


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("ragline")), "ground", *arguments],
        env={**os.environ, "RAGLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_one_line_for_each_claim(models_home: Path, tmp_path: Path) -> None:
    passages = ["Ice has a density of 917 kilograms per cubic metre.", "Coffee beans are seeds."]
    claims = ["The density of ice is 917 kilograms per cubic metre.", "Tigers are striped."]
    source = tmp_path / "claims.jsonl"
    source.write_text(
        "\n".join(json.dumps({"claim": c, "passages": passages, "id": c[0], "label": 1}) for c in claims)
    )
    done = run("--input", str(source), "--local", home=models_home)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert [first["claim"], second["claim"]] == claims
    assert [first["id"], second["id"]] == ["T", "T"]
    assert first["p_supported"] > second["p_supported"]
    assert first["spans"][0] == {"passage": 0, "start": 0, "end": len(passages[0]), "text": passages[0]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no claims"),
        ("nonsense", ":1: not JSON"),
        ('{"claim": "x", "passages": []}\n{"claim": "x"}', ":2: passages"),
        ('{"claim": "", "passages": []}', ":1: claim"),
        ('{"claim": "x", "passages": "y"}', ":1: passages"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    source = tmp_path / "claims.jsonl"
    source.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_claims(source)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.jsonl cannot be read"):
        read_claims(tmp_path / "gone.jsonl")
