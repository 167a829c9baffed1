"""What `ragline migrate opea` writes is taken by the chart's schema and templates."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.commands.migrate import command
from tests.chart.conftest import Helm
from tests.unit.cli.test_cli_migrate import VALUES


@pytest.mark.parametrize("name", VALUES)
def test_helm_takes_the_values(name: str, tmp_path: Path, helm: Helm) -> None:
    theirs, written = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    theirs.write_text(VALUES[name])
    done = CliRunner().invoke(command, ["opea", str(theirs), "--out", str(written)])
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    ours = yaml.safe_load(written.read_text())
    arguments = ["--values", str(written)]
    if any(
        model["modelId"].startswith("meta-llama/") for model in ours.get("models", [])
    ) and "hfToken" not in ours.get("secrets", {}):
        assert "set secrets.hfToken" in helm.refusal(*arguments), "theirs have no token either"
        arguments += ["--set", "secrets.hfToken=hub-token"]
    rendered = helm.template(*arguments)
    assert rendered.returncode == 0, rendered.stderr
    for model in ours.get("models", []):
        assert model["modelId"] in rendered.stdout
