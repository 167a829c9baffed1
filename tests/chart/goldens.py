"""The committed renderings: whole where a values file differs in kind, else its difference from such a one.

`make chart-goldens` writes them anew.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from tests.chart.conftest import ROOT, VALUES, Helm

FOLDER = Path(__file__).parent / "goldens"
WHOLE = ("default", "gaudi", "hpa")
"""The embedded models on one node, engines as pods of their own on accelerators, several replicas of all."""

COMPARED_WITH = {
    "cpu": "default",
    "external-llm": "default",
    "minimal": "default",
    "gaudi-tgi": "gaudi",
    "xeon": "gaudi",
}


def golden_path(values: str) -> Path:
    return FOLDER / (f"{values}.yaml" if values in WHOLE else f"{values}.diff")


def golden(helm: Helm, values: str) -> str:
    """What the rendering of a values file has in its golden: every line of it, or every line that differs."""
    rendered = helm.text(values)
    if values in WHOLE:
        return rendered
    base = COMPARED_WITH[values]
    lines = difflib.unified_diff(
        helm.text(base).splitlines(keepends=True), rendered.splitlines(keepends=True), base, values, n=2
    )
    return "".join(lines)


def main() -> None:
    helm = Helm(os.environ.get("HELM") or str(ROOT / "build" / "tools" / "helm"))
    for name in VALUES:
        golden_path(name).write_text(golden(helm, name))
        print(golden_path(name))


if __name__ == "__main__":
    main()
