"""The command starts fast: what one of its parts needs, the others do not import."""

from __future__ import annotations

import subprocess
import sys

SPARED = {
    "fastapi": "the services' framework",
    "scipy": "statistics",
    "numpy": "statistics and vectors",
    "langchain_core": "splitting documents",
    "httpx2": "the hub's client, with huggingface_hub's progress bars (tqdm)",
    "tqdm": "as above",
    "opentelemetry.exporter": "only where a collector is set",
}


def test_the_command_line_imports_only_what_every_command_needs() -> None:
    code = "import sys, services.cli.main; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert sorted(SPARED.keys() & set(loaded)) == []
