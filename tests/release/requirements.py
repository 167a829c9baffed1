"""What the images install, with a hash of every file: `services/requirements/*.txt`; running this writes them.

uv resolves the requirements of each service for each platform of the release, within constraints.txt; of each package the
one file is taken that pip will choose in the image. A service that has no files for a platform is not released for it:
its file says so. `make requirements` needs a package index, and an environment with uv of its own; nothing is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "services" / "requirements"
CONSTRAINTS = ROOT / "constraints.txt"
PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64"}
"""The platforms of a release, and what wheels call them."""

HABANA = "habana"
BASES = {HABANA: (12, 39)}
DEBIAN = (11, 36)
"""Minor versions of Python and glibc in the base image: Debian 12's, and those of Ubuntu 24.04, which is Intel's."""

OF_THE_BASE = re.compile(r"torch|triton|nvidia-.*")
"""Packages that Intel's image brings in a build of its own."""

IMAGES = (
    "embedding",
    "retrieval",
    "reranking",
    "generation",
    "dataprep",
    "dataprep,dataprep-office",
    # helm test runs the command line's selftest in the gateway's image
    "gateway,cli,mcp",
)
"""SERVICE and EXTRAS of the Dockerfile, which takes the file of that name."""

BUILD = ("hatchling",)
MISSING = "# not for "


@dataclass(frozen=True)
class Pinned:
    """One package of one version, and the hashes of its files for the platforms, in their order."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def write(self) -> str:
        return " \\\n    ".join(
            [f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)]
        )


def wanted(extras: Iterable[str]) -> list[str]:
    """The requirements of these extras, and those that every service has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in extras for one in optional[extra])]


def list_tags(machine: str, python: int, glibc: int) -> dict[Tag, int]:
    """List the tags of wheels that an image of this machine loads, each with its rank, the best first."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, 16, -1)] + [
        f"manylinux2014_{machine}"
    ]
    platforms += [f"linux_{machine}"]
    version = (3, python)
    tags = [*cpython_tags(version, platforms=platforms), *compatible_tags(version, f"cp3{python}", platforms)]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def resolve(name: str, requirements: Sequence[str], machine: str) -> dict[str, tuple[str, str]] | str:
    """Each package with its version and the hash of its file; what uv says where there is no solution."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-config",
        "--only-binary",
        ":all:",
    ]
    python, glibc = BASES.get(name, DEBIAN)
    command += ["--python-version", f"3.{python}", "--python-platform", f"{machine}-manylinux_2_{glibc}"]
    # optimum-habana pins others than constraints.txt
    command += [] if name == HABANA else ["--constraint", str(CONSTRAINTS)]
    command += ["--format", "pylock.toml", "-"]
    given = "\n".join(requirements)
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        return " ".join(done.stderr.split())
    tags = list_tags(machine, python, glibc)
    found = {}
    for package in tomllib.loads(done.stdout)["packages"]:
        if name == HABANA and OF_THE_BASE.fullmatch(package["name"]):
            continue
        ranked = []
        for wheel in package.get("wheels", []):
            file = wheel.get("name") or wheel["url"].rpartition("/")[2]
            fitting = [tags[tag] for tag in parse_wheel_filename(unquote(file))[3] if tag in tags]
            ranked += [(min(fitting), wheel["hashes"]["sha256"])] if fitting else []
        if not ranked:
            return f"{package['name']} {package['version']} has no wheel for it"
        found[package["name"]] = package["version"], min(ranked)[1]
    return found


def pin(name: str, requirements: Sequence[str]) -> tuple[list[Pinned], list[str]]:
    """What to install, and the platforms for which there is no solution."""
    platforms = {"amd64": PLATFORMS["amd64"]} if name == HABANA else PLATFORMS
    solved = {platform: resolve(name, requirements, machine) for platform, machine in platforms.items()}
    missing = [f"{platform}: {why}" for platform, why in solved.items() if isinstance(why, str)]
    kept = [one for one in solved.values() if not isinstance(one, str)]
    pinned = []
    for package in sorted({package for one in kept for package in one}):
        (version,) = {one[package][0] for one in kept if package in one}
        hashes = tuple(dict.fromkeys(one[package][1] for one in kept if package in one))
        pinned.append(Pinned(package, version, hashes))
    return pinned, missing


def write(name: str, requirements: Sequence[str]) -> None:
    pinned, missing = pin(name, requirements)
    if not pinned:
        raise SystemExit(f"{name}: no solution: {'; '.join(missing)}")
    lines = ["# made by `make requirements`: the files that the image installs, and no others"]
    lines += [f"{MISSING}{why}" for why in missing]
    (FOLDER / f"{name}.txt").write_text("\n".join([*lines, *(one.write() for one in pinned)]) + "\n")
    print(f"{name}: {len(pinned)} packages{', not for ' if missing else ''}{'; '.join(missing)}")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or [*IMAGES, HABANA, "build"]:
        write(name, BUILD if name == "build" else wanted(name.split(",")))


if __name__ == "__main__":
    main()
