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
    rendered = helm.template("--values", str(written))
    assert rendered.returncode == 0, rendered.stderr
    for model in yaml.safe_load(written.read_text()).get("models", []):
        assert model["modelId"] in rendered.stdout
