"""No module of ours imports itself in a circle, and the public face is above them all."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Find one circle of imports; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_there_is_no_circle_of_imports() -> None:
    graph = grimp.build_graph("services", "pipelines")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    assert find_circle(imports) == []


@pytest.mark.parametrize("imports", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"a"}}])
def test_a_circle_is_found(imports: dict[str, set[str]]) -> None:
    assert find_circle(imports)


def imported_by(module: Path) -> set[str]:
    """List the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_the_public_face_reaches_services_only_through_core_and_nothing_of_ours_imports_it() -> None:
    ours = {name for name in imported_by(ROOT / "ragline.py") if name.split(".")[0] == "services"}
    assert ours
    assert all(name.startswith("services.core.") for name in ours)
    for folder in ("services", "pipelines"):
        for module in (ROOT / folder).rglob("*.py"):
            assert "ragline" not in imported_by(module), module
