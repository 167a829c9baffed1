"""What a parser process can still do, tried in one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.settings import copy_environment

TRIED = """
import json, os, socket, subprocess, sys
from pathlib import Path
from services.dataprep.parsing.isolation import isolate
readable = Path(sys.argv[1])
in_force = isolate(readable if sys.argv[2] == "folder" else None)
def tell(attempt):
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"
def lazy_import():
    import colorsys, wave, encodings.cp1252
print(json.dumps({"in_force": in_force} | {name: tell(attempt) for name, attempt in {
    "socket": lambda: socket.socket(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "program": lambda: os.execv("/bin/true", ["true"]),
    "child": lambda: subprocess.run(["/bin/true"]),
    "file": lambda: (readable / "file").read_bytes(),
    "secret": lambda: (readable.parent / "secret").read_bytes(),
    "passwords": lambda: Path("/etc/passwd").read_bytes(),
    "environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "listing": lambda: os.listdir("/"),
    "writing": lambda: (readable / "new").write_bytes(b"x"),
    "removing": lambda: (readable / "file").unlink(),
    "import": lazy_import,
    "memory": lambda: Path("/proc/self/statm").read_text(),
}.items()}))
"""


def attempt(folder: Path, which: str) -> dict[str, object]:
    (folder / "files").mkdir()
    (folder / "files" / "file").write_bytes(b"text")
    (folder / "secret").write_bytes(b"key")
    command = [sys.executable, "-c", TRIED, str(folder / "files"), which]
    done = subprocess.run(command, capture_output=True, text=True, env=copy_environment(), check=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def require(result: dict[str, object], *protections: str) -> None:
    if not set(protections) <= set(json.loads(json.dumps(result["in_force"]))):
        pytest.skip(f"this kernel has only {result['in_force']}")


def test_a_parser_reaches_no_network_and_no_program(tmp_path: Path) -> None:
    result = attempt(tmp_path, "folder")
    require(result, "network", "programs")
    for name in ("socket", "unix socket", "program", "child"):
        assert result[name] == "PermissionError", name


def test_a_parser_reads_its_files_and_pythons_and_writes_none(tmp_path: Path) -> None:
    result = attempt(tmp_path, "folder")
    require(result, "files")
    for name in ("secret", "passwords", "environment", "listing", "writing", "removing"):
        assert result[name] == "PermissionError", name
    for name in ("file", "import", "memory"):
        assert result[name] == "done", name


def test_without_a_folder_all_can_be_read_and_nothing_written(tmp_path: Path) -> None:
    result = attempt(tmp_path, "any")
    require(result, "files")
    assert (result["secret"], result["import"]) == ("done", "done")
    assert result["writing"] == result["removing"] == "PermissionError"
