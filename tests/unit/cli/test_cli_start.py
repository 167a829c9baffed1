"""The command starts fast: what one of its parts needs, the others do not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

SPARED = {
    "fastapi": "the services' framework",
    "scipy": "statistics",
    "numpy": "statistics and vectors",
    "langchain_core": "splitting documents",
    "httpx2": "the hub's client, with huggingface_hub's progress bars (tqdm)",
    "tqdm": "as above",
    "opentelemetry.exporter": "only where a collector is set",
}
HELP_SPARES = {
    "aiohttp": "asking services",
    "pydantic": "wire types and settings",
    "rich": "progress and colours",
    "structlog": "logs",
}


def modules(code: str) -> set[str]:
    code = f"import sys\ntry:\n  {code}\nexcept SystemExit: pass\nprint('|', *sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    return set(printed.rpartition("|")[2].split())


def test_the_help_of_all_commands_imports_none_of_them() -> None:
    loaded = modules("from services.cli.main import app; app(['--help'])")
    assert sorted((SPARED | HELP_SPARES).keys() & loaded) == []


@pytest.mark.parametrize("command", ["ask", "status"])
def test_a_command_imports_what_it_needs_only(command: str) -> None:
    loaded = modules(f"from services.cli.main import app; app([{command!r}, '--help'])")
    assert sorted(SPARED.keys() & loaded) == []
