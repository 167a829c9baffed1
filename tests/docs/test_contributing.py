"""What CONTRIBUTING shows is whole, and what it says of the places to change holds."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.evaluation.datasets import registry as datasets
from pipelines.evaluation.metric import list_metrics
from services.cli import commands
from services.core.backends import names
from services.core.wire.passages import Passage
from services.dataprep.parsing import registry as formats
from services.reranking.backend import PACKAGE
from services.retrieval.backend import PACKAGE as STORES

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHART = ROOT / "kubernetes" / "ragline"

CHANGES = {
    "vector store",
    "metric",
    "prompt",
    "CLI command",
    "gateway route",
    "reasoning format",
    "retry policy",
    "file format",
    "log field",
    "citation field",
    "data set",
    "Helm engine",
    "relevance floor",
}


def read_places() -> dict[str, list[str]]:
    """Read the files and folders that the table names for each change."""
    section = CONTRIBUTING.split("## Where a change goes")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]*)\|([^|]*)\|$", section, re.MULTILINE)
    return {what: re.findall(r"`([^`]+)`", where + besides) for what, where, besides in rows if "`" in where}


def modules_with(text: str) -> set[str]:
    """List our modules whose source holds `text`."""
    files = [file for top in ("services", "pipelines") for file in (ROOT / top).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix() for file in files if text in file.read_text()}


def forget_lists() -> None:
    """Let the next question list the folders again."""
    for cached in (list_metrics, datasets._named_datasets, commands.outlines):
        cached.cache_clear()


@contextmanager
def file_in(package: str, folder: Path, source: str) -> Iterator[None]:
    """Let the package have one more file, `dropped.py`, as if it lay in its folder."""
    (folder / "dropped.py").write_text(source)
    path = importlib.import_module(package).__path__
    path.append(str(folder))
    importlib.invalidate_caches()
    forget_lists()
    try:
        yield
    finally:
        path.remove(str(folder))
        sys.modules.pop(f"{package}.dropped", None)
        forget_lists()


async def test_the_example_backend_runs(tmp_path: Path) -> None:
    [source] = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    file = tmp_path / "brevity.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("brevity", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reranker = await module.create()
    await reranker.ready()
    passages = [Passage(id=str(n), document_id="d", text="x" * n) for n in (3, 1)]
    assert await reranker.score("q", passages, collection=None) == [-3.0, -1.0]
    await reranker.close()


def test_a_file_is_all_it_takes_to_be_found(tmp_path: Path) -> None:
    package = __import__(PACKAGE, fromlist=["__path__"])
    (tmp_path / "brevity.py").write_text("")
    package.__path__.append(str(tmp_path))
    try:
        assert "brevity" in names(PACKAGE)
    finally:
        package.__path__.remove(str(tmp_path))


def test_the_table_has_every_change_once_and_at_most_three_places_each() -> None:
    places = read_places()
    assert set(places) == CHANGES
    assert {what: named for what, named in places.items() if not 1 <= len(named) <= 3} == {}


def test_every_place_in_the_table_is_there() -> None:
    places = [place for named in read_places().values() for place in named]
    assert [place for place in places if not (ROOT / place).exists()] == []
    assert [place for place in places if (ROOT / place).is_dir() != place.endswith("/")] == []


METRIC = """
from pipelines.evaluation.metric import answer_metric

@answer_metric("dropped", family="quality", order=99, higher_is_better=None)
def dropped(answer):
    \"\"\"It is one.\"\"\"
    return 1.0
"""
DATASET = """
from pipelines.evaluation.datasets.registry import dataset

@dataset("dropped")
def load(variant, path):
    raise NotImplementedError
"""
FORMAT = """
from services.dataprep.parsing.document import Format, ParsedDocument

FORMAT = Format(title="dropped", position=99, suffixes=(".dropped",), content_types={}, read_with="-", sections="-")

def parse(data, _limits, _suffix):
    return ParsedDocument(data.decode())
"""
COMMAND = '"""Do nothing."""\nPANEL = "Run"\ndef command(): pass\n'


@pytest.mark.parametrize(
    ("what", "source", "found"),
    [
        ("vector store", "", lambda: names(STORES)),
        ("metric", METRIC, lambda: [metric.name for metric in list_metrics()]),
        ("CLI command", COMMAND, lambda: list(commands.outlines())),
        ("file format", FORMAT, lambda: list(formats.all_formats())),
        ("data set", DATASET, datasets.dataset_names),
    ],
)
def test_a_file_that_is_dropped_there_is_found(
    what: str, source: str, found: Callable[[], Sequence[str]], tmp_path: Path
) -> None:
    package = read_places()[what][0].strip("/").replace("/", ".")
    before = set(found())
    with file_in(package, tmp_path, source):
        assert set(found()) == before | {"dropped"}
    assert set(found()) == before


@pytest.mark.parametrize(
    ("what", "sign"),
    [
        ("retry policy", "from tenacity"),
        ("reasoning format", " Profile("),
        ("log field", "structlog.configure("),
        ("citation field", "FileCitation("),
        ("prompt", "PROMPTS: dict["),
        ("relevance floor", '"RELEVANCE_FLOOR"'),
    ],
)
def test_nothing_else_does_it(what: str, sign: str) -> None:
    found = modules_with(sign)
    assert found
    assert found <= set(read_places()[what])


def test_an_engine_is_named_in_no_other_file_of_the_chart() -> None:
    table = (
        (CHART / "templates" / "_engines.tpl")
        .read_text()
        .split('define "ragline.engineTable"')[1]
        .split("end")[0]
    )
    engines = re.findall(r"^(\w+): \{client", table, re.MULTILINE)
    assert len(engines) >= 5
    named = re.compile(rf'"({"|".join(engines)})"')
    others = [file for file in (CHART / "templates").rglob("*.*") if file.name != "_engines.tpl"]
    assert [(file.name, names) for file in others if (names := named.findall(file.read_text()))] == []


def test_the_relevance_floor_has_one_default() -> None:
    from services.gateway.settings import Settings  # noqa: PLC0415

    default = Settings.model_fields["floor"].default
    assert f"RELEVANCE_FLOOR:-{default}}}" in (ROOT / "compose" / "compose.yaml").read_text()
    assert f"#RELEVANCE_FLOOR={default}\n" in (ROOT / "compose" / ".env.example").read_text()
