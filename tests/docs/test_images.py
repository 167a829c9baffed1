"""Every image of others that is named anywhere is in the table of images, with its source, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deploy" / "images.md"
VALUES = ROOT / "kubernetes" / "ragline" / "values.yaml"


class ComposeLoader(yaml.SafeLoader):
    """Compose's own tags are passed over."""


ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))
ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def chart_images() -> Iterator[str]:
    values = yaml.safe_load(VALUES.read_text())
    pending = [values]
    while pending:
        item = pending.pop()
        if not isinstance(item, dict):
            continue
        if item.get("repository"):
            yield f"{item['registry']}/{item['repository']}:{item['tag']}"
        pending += item.values()


def compose_images() -> Iterator[str]:
    for path in (ROOT / "compose" / name for name in ("xeon.yaml", "gaudi.yaml", "gpu.yaml")):
        for service in yaml.load(path.read_text(), ComposeLoader)["services"].values():  # noqa: S506 - a SafeLoader
            if image := service.get("image"):
                yield re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", image)


def table() -> dict[str, str]:
    """Image to the last cell of its row."""
    rows = re.findall(r"^\| `([\w./-]+)` \| `([\w.-]+)` \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {f"{image}:{tag}": confirmed for image, tag, confirmed in rows}


def test_the_table_has_every_image_and_nothing_else() -> None:
    base = re.search(r"^ARG HABANA_BASE=(\S+)$", (ROOT / "services" / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    named = {*chart_images(), *compose_images(), base.group(1)}
    assert len(named) > 10
    assert set(table()) == named
    assert set(table().values()) <= {"yes", "in use only", "**unconfirmed**", "**contradicted**"}


def test_all_of_intels_images_are_of_one_release() -> None:
    intels = [image for image in table() if image.startswith("vault.habana.ai/")]
    assert len(intels) == 2
    assert {re.findall(r"gaudi-docker/([\d.]+)/|:([\d.]+)-", image)[0][0] for image in intels} == {"1.24.0"}
    assert "**1.24.0** (the chart's)" in (PAGE.parent / "gaudi.md").read_text()
