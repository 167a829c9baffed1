"""The chart of a release: where its images are, and their digests, stand in its values. Running this writes it.

python -m tests.release.stamp --registry ghcr.io/OWNER --digests digests.json --to build/release/ragline
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.release.check import CHART, SERVICES

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def stamp_chart(registry: str, digests: Mapping[str, str], to: Path) -> None:
    """Copy the chart to a folder, with the registry and the digests of its images as defaults.

    Raises:
        ValueError: A service has no digest, or what it has is none.
    """
    wrong = [name for name in SERVICES if not DIGEST.fullmatch(digests.get(name, ""))]
    if wrong:
        raise ValueError(f"no digest of {', '.join(wrong)}")
    shutil.copytree(CHART, to, dirs_exist_ok=True)
    values = (to / "values.yaml").read_text("utf-8")
    lines = "".join(f"\n    {name}: {digests[name]}" for name in sorted(digests))
    for before, after in {
        '  registry: ""\n': f"  registry: {registry}\n",
        "  digests: {}\n": f"  digests:{lines}\n",
    }.items():
        if values.count(before) != 1:
            raise ValueError(f"values.yaml has {values.count(before)} lines {before.strip()!r}, not one")
        values = values.replace(before, after)
    (to / "values.yaml").write_text(values, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--digests", required=True, type=Path, help="a JSON object of digests by service")
    parser.add_argument("--to", required=True, type=Path)
    arguments = parser.parse_args()
    stamp_chart(arguments.registry, json.loads(arguments.digests.read_text("utf-8")), arguments.to)


if __name__ == "__main__":
    main()
