"""A child of ours ends with its parent, also where the parent is killed while the child starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.core import children
from services.core.children import build_command

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel kills with the parent on Linux alone")

ECHO = "import os, sys\nprint(__name__, sys.argv[1:], sys.path[0], os.getppid())\n"
WAIT = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
PARENT = """
import os, signal, subprocess, sys
from services.core.children import build_command

child = subprocess.Popen(build_command("waits"), stdout=subprocess.PIPE if sys.argv[1:] else None)
if sys.argv[1:]:
    child.stdout.readline()
os.write(1, f"{child.pid}\\n".encode())
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "echoes.py").write_text(ECHO)
    (tmp_path / "waits.py").write_text(WAIT)
    return tmp_path


def test_a_module_runs_as_by_m(folder: Path) -> None:
    command = build_command("echoes", "a", "--b")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"__main__ ['a', '--b'] {folder} {os.getpid()}"]


def test_a_child_imports_from_where_its_parent_imports_from(folder: Path) -> None:
    """A service that does not look into the folder it is in, as in its image, starts none that does."""
    code = "from services.core.children import build_command; import subprocess; "
    code += "raise SystemExit(subprocess.run(build_command('echoes')).returncode)"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert "No module named echoes" in done.stderr


@linux
def test_a_child_whose_parent_is_gone_ends_before_it_imports_anything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children.os, "getpid", lambda: 2**22 + 1)  # more than Linux ever gives
    python, *rest = build_command("services.retrieval.backends.edge.build", str(folder), "16")
    done = subprocess.run([python, "-X", "importtime", *rest], capture_output=True, check=False, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 1
    assert "ctypes" in imported
    assert not {name for name in imported if name.split(".")[0] in {"services", "asyncio", "numpy", "runpy"}}


@linux
@pytest.mark.parametrize("moment", ["at once", "when it runs"])
def test_a_child_dies_with_its_parent(folder: Path, moment: str) -> None:
    """The pipe of the parent's errors, which the child has too, is at its end when both are gone."""
    command = [sys.executable, "-c", PARENT, *([moment] if moment == "when it runs" else [])]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    assert done.returncode == -9
    assert int(done.stdout)
