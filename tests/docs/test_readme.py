"""What README promises is what the tree holds."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import settings_table  # noqa: E402 - a neighbour, not a package

README = (ROOT / "README.md").read_text()


def test_the_settings_page_is_that_of_the_settings_classes() -> None:
    shown = settings_table.PAGE.read_text().split(settings_table.BEGIN)[1].split(settings_table.END)[0]
    assert shown == settings_table.render_tables(), "run: make settings-table"


def test_every_setting_stands_below_the_heading_of_one_service() -> None:
    shown = settings_table.render_tables()
    for variable in settings_table.collect_rows():
        first = variable in settings_table.FIRST
        assert shown.count(f"\n| `{variable}` |") == 1 + first, variable


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.encode()) < 8_192


def test_every_setting_has_a_default_and_a_description() -> None:
    for kind in settings_table.settings_classes():
        for name, field in kind.model_fields.items():
            assert not field.is_required(), f"{kind.__module__}.{name} has no default"
            assert field.description, f"{kind.__module__}.{name} has no description"
            assert field.validation_alias == str(field.validation_alias).upper(), name


def test_one_variable_has_one_meaning() -> None:
    meanings: dict[str, set[tuple[str, str | None]]] = {}
    for kind in settings_table.settings_classes():
        for field in kind.model_fields.values():
            meanings.setdefault(str(field.validation_alias), set()).add(
                (repr(field.default), field.description)
            )
    for variable, described in meanings.items():
        assert len({default for default, _ in described}) == 1, f"{variable} has several defaults"


def test_the_make_targets_that_docs_name_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for named in re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert (named[0] or named[1]) in targets, f"{page.name} names make {named}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_constraints_are_exact_and_hold_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    apart = {"habana"}  # an environment of its own, with the torch of Intel's image
    wanted = [
        *project["dependencies"],
        *(each for name, extra in extras.items() if name not in apart for each in extra),
    ]
    for requirement in wanted:
        name = re.split(r"[\[<>=;~! ]", requirement)[0].replace("_", "-").lower()
        assert name == "ragline" or name in pinned, f"{name} is not pinned"


def test_no_module_is_longer_than_300_lines() -> None:
    folders = (ROOT / "services", ROOT / "pipelines")
    for module in (ROOT / "ragline.py", *(module for folder in folders for module in folder.rglob("*.py"))):
        assert len(module.read_text().splitlines()) <= 300, module
