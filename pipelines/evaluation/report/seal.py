"""Seals a report to its bundle, so that a report that was changed afterwards is told apart.

`report.sha256` has the hashes of the report's files, as `sha256sum -c report.sha256` reads them, and in its
first lines the bundle's fingerprint and what drew the figures. A seal that was made anew for a changed report
is found out where the same versions draw it again: the same bundle gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from services.core.errors import InvalidRequest

SEAL = "report.sha256"
FILES = ("report.html", "report.json", "report.md")


def make_seal(contents: Mapping[str, bytes], bundle: str) -> bytes:
    """Make the seal of a report's files, by name, for the bundle with this fingerprint."""
    lines = [f"# bundle {bundle}", f"# drawn by {_name_versions()}"]
    lines += [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}" for name in sorted(contents)]
    return "\n".join(lines).encode() + b"\n"


def find_changes(folder: Path, bundle: str) -> list[str]:
    """List what of a sealed report is not as it was written, in sentences; nothing where there is no seal, as
    in folders that were written before.

    Raises:
        InvalidRequest: The seal cannot be read.
    """
    seal = _read_seal(folder)
    if seal is None:
        return []
    changes = []
    if seal.get("# bundle") != bundle:
        changes.append(f"{folder / SEAL} is of other answers than those in the folder")
    for name in FILES:
        path = folder / name
        if name not in seal or not path.is_file():
            changes.append(f"{path} is {'not sealed' if name not in seal else 'missing'}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != seal[name]:
            changes.append(f"{path} was changed after it was written")
    return changes


def is_drawn_by_these_versions(folder: Path) -> bool:
    """Whether the versions that are installed here drew the report: they draw the same bytes again."""
    seal = _read_seal(folder)
    return seal is not None and seal.get("# drawn by") == _name_versions()


def _read_seal(folder: Path) -> dict[str, str] | None:
    path = folder / SEAL
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    seal: dict[str, str] = {}
    for line in text.splitlines():
        for key in ("# bundle", "# drawn by"):
            if line.startswith(f"{key} "):
                seal[key] = line.removeprefix(f"{key} ")
        digest, _, name = line.partition("  ")
        if name and not line.startswith("#"):
            seal[name] = digest
    return seal


def _name_versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("ragline", "matplotlib", "numpy"))
