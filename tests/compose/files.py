"""The compose files as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "compose"
FILES = sorted(FOLDER.glob("*.yaml"))
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """Also knows compose's own tags, which replace what a merge would add to."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader


def services(path: Path) -> dict[str, dict[str, Any]]:
    return load(path)["services"]


def variables(text: str) -> dict[str, str]:
    """The variables that a compose file reads, with their defaults."""
    return dict(VARIABLE.findall(text))


def documented(text: str) -> dict[str, str]:
    """The variables of an .env file, those behind a # too."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
