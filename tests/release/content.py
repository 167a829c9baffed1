"""A name for what goes into the images: running this prints `VERSION-HASH`, the tag that `make images` gives them.

Under one tag and IfNotPresent a rebuilt image never reaches a pod. Only the standard library: any Python runs it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTERS = ("pyproject.toml", "README.md", "LICENSE", "ragline.py", "services", "pipelines")
"""What .dockerignore lets into the build."""

LENGTH = 12


def read_version(root: Path = ROOT) -> str:
    """Read the version of pyproject.toml."""
    found = re.search(r'^version = "([^"]+)"', (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("pyproject.toml has no version")
    return found[1]


def hash_content(root: Path = ROOT) -> str:
    """Hash the names and bytes of all that the images are made of."""
    total = hashlib.sha256()
    for name in ENTERS:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(root).as_posix()}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:LENGTH]


def name_content(root: Path = ROOT) -> str:
    """Return the tag that names this content."""
    return f"{read_version(root)}-{hash_content(root)}"


if __name__ == "__main__":
    print(name_content())
