"""The values that the pages of docs/deploy show are taken by the chart, and the files that they name are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import CHART, ROOT, VALUES, Helm
from tests.soak import rounds

PAGES = {
    "air-gapped": "xeon",
    "eks": "cpu",
    "gaudi": "gaudi",
    "openshift": "gaudi",
    "xeon": "xeon",
}
"""Page to the values file that its examples go over."""
KEYS = set(yaml.safe_load((CHART / "values.yaml").read_text()))


def read_values(page: str) -> list[str]:
    """The indented blocks of a page that are values of the chart."""
    text = (ROOT / "docs" / "deploy" / f"{page}.md").read_text()
    blocks = [
        textwrap.dedent(block) for block in re.findall(r"(?:^ {4,}.*\n|^\n(?= {4}))+", text, re.MULTILINE)
    ]
    parts = [part for block in blocks for part in block.strip("\n").split("\n\n")]
    return [part for part in parts if part.partition(":")[0].strip() in KEYS and ":" in part.splitlines()[0]]


@pytest.mark.parametrize("page", [*PAGES][: rounds(2, len(PAGES))])
def test_the_chart_takes_what_the_page_shows(helm: Helm, tmp_path: Path, page: str) -> None:
    shown = read_values(page)
    assert shown, page
    arguments = ["--values", str(VALUES[PAGES[page]])]
    for number, part in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(part)
        arguments += ["--values", str(path)]
    done = helm.template(
        *arguments, "--set", "image.local=false", "--set", "image.registry=registry.example.com/team"
    )
    assert done.returncode == 0, done.stderr


def test_the_pages_name_files_that_are_there() -> None:
    for page in (ROOT / "docs" / "deploy").glob("*.md"):
        for name in re.findall(
            r"kubernetes/ragline/[\w-]+-values\.yaml|compose/[\w-]+\.yaml", page.read_text()
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
