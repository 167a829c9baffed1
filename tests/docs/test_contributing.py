"""The backend shown in CONTRIBUTING is a whole one: the file alone makes it selectable."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from services.core.backends import names
from services.core.wire.passages import Passage
from services.reranking.backend import PACKAGE

CONTRIBUTING = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()


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
