"""What can be checked of a release without a registry: running this prints each check, and fails where one does.

`make release-check`, or `make release-check TAG=v0.1.0` for that release itself. What cannot be checked on this machine
(images, without a container engine) is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from tests.chart.conftest import VALUES, Helm
from tests.chart.goldens import golden, golden_path
from tests.release.content import name_content, read_version
from tests.release.requirements import BUILD, CONSTRAINTS, FOLDER, IMAGES, wanted

ROOT = Path(__file__).parents[2]
CHART = ROOT / "kubernetes" / "ragline"
SERVICES = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
LABELS = ("title", "description", "version", "revision", "source", "licenses")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ]+) \\$", re.MULTILINE)

Problems = Iterator[str]


def check_versions() -> Problems:
    """The version is one in pyproject.toml, the chart, the images and compose."""
    version = read_version()
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    said = {"Chart.yaml version": str(chart["version"]), "Chart.yaml appVersion": str(chart["appVersion"])}
    docker = (ROOT / "services" / "Dockerfile").read_text()
    said |= {
        f"Dockerfile ARG VERSION, {n}": one
        for n, one in enumerate(re.findall(r"^ARG VERSION=(.*)$", docker, re.M))
    }
    compose = (ROOT / "compose" / "compose.yaml").read_text()
    said |= {
        f"compose.yaml RAGLINE_VERSION:-{one}": one
        for one in re.findall(r"RAGLINE_VERSION:-([^}]+)}", compose)
    }
    yield from (
        f"{where} is {one}, pyproject.toml has {version}" for where, one in said.items() if one != version
    )


def read_notes(version: str) -> tuple[str, str]:
    """Read a version's heading in CHANGELOG.md and what stands below it. Raises `ValueError` where it has none."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = re.search(
        rf"^## ({re.escape(version)}\b[^\n]*)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise ValueError(f"CHANGELOG.md has no heading '## {version}'")
    return found[1].strip(), found[2].strip()


def check_changelog(tag: str = "") -> Problems:
    """CHANGELOG.md has the version; for a tag also its date, and the tag is that version."""
    version = read_version()
    try:
        heading, notes = read_notes(version)
    except ValueError as error:
        yield str(error)
        return
    if not notes:
        yield f"CHANGELOG.md says nothing of {version}"
    if tag and tag != f"v{version}":
        yield f"the tag is {tag}, pyproject.toml has {version}: tag v{version}, or raise the version"
    if tag and not re.search(r"\d{4}-\d{2}-\d{2}", heading):
        yield f"CHANGELOG.md: '## {heading}' has no date: write '## {version}, YYYY-MM-DD'"


def check_requirements() -> Problems:
    """The hashed requirements of the images are the versions of constraints.txt, and none is without a hash."""
    constraints = dict(line.split("==") for line in CONSTRAINTS.read_text().split())
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in constraints.items()}
    for name in [*IMAGES, "build"]:
        path = FOLDER / f"{name}.txt"
        if not path.exists():
            yield f"{path.name} is missing: make requirements"
            continue
        found = dict(PIN.findall(path.read_text()))
        asked = BUILD if name == "build" else wanted(name.split(","))
        absent = [one for one in asked if read_name(one) not in found]
        if absent:
            yield f"{path.name} lacks {', '.join(absent)}: make requirements"
        if not found:
            yield f"{path.name} pins nothing"
        for package, version in found.items():
            if pinned.get(package) != version:
                yield f"{path.name}: {package}=={version}, constraints.txt has {pinned.get(package)}: make requirements"


def read_name(requirement: str) -> str:
    """Read the name of a requirement, in the one form that the files have."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement)[0]).lower()


def check_chart(helm: Helm) -> Problems:
    """The chart passes Helm's lint and packages under its version; its renderings are the committed ones."""
    done = helm.run("lint", "--strict", str(CHART), "--set", "image.local=true")
    if done.returncode:
        yield f"helm lint: {done.stdout.strip()}"
    with tempfile.TemporaryDirectory() as folder:
        done = helm.run("package", str(CHART), "--destination", folder)
        if not (Path(folder) / f"ragline-{read_version()}.tgz").exists():
            yield f"helm package: {done.stderr.strip() or done.stdout.strip()}"
    for name in VALUES:
        if golden_path(name).read_text() != golden(helm, name):
            yield f"{golden_path(name).name} is not what the chart renders: make chart-goldens"


def check_labels() -> Problems:
    """The Dockerfile gives every image the labels of the OCI's specification."""
    docker = (ROOT / "services" / "Dockerfile").read_text()
    stages = [
        stage
        for stage in re.split(r"^FROM ", docker, flags=re.M)
        if re.search(r"AS (service|habana)\n", stage)
    ]
    for stage in stages:
        for label in LABELS:
            if f"org.opencontainers.image.{label}=" not in stage:
                yield f"Dockerfile, {stage.splitlines()[0]}: no label org.opencontainers.image.{label}"


def check_images() -> Problems:
    """The images that `make images` built carry this content's tag and this commit as revision."""
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()
    for service in SERVICES:
        image = f"ragline-{service}:{name_content()}"
        done = subprocess.run(
            ["docker", "image", "inspect", image], capture_output=True, text=True, check=False
        )
        if done.returncode:
            yield f"{image} is not built from this content: make images"
            continue
        labels = json.loads(done.stdout)[0]["Config"]["Labels"] or {}
        for name, value in {
            "version": read_version(),
            "revision": revision,
            "title": f"ragline-{service}",
        }.items():
            if labels.get(f"org.opencontainers.image.{name}") != value:
                yield f"{image}: label {name} is {labels.get(f'org.opencontainers.image.{name}')!r}, not {value!r}"


def has_engine() -> bool:
    """Tell whether a container engine answers here."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", default="", help="the tag to release, such as v0.1.0")
    parser.add_argument(
        "--notes", action="store_true", help="print what CHANGELOG.md says of the version, and end"
    )
    arguments = parser.parse_args()
    if arguments.notes:
        print(read_notes(read_version())[1])
        return 0
    helm = Helm(os.environ.get("HELM") or str(ROOT / "build" / "tools" / "helm"))
    checks: dict[str, Callable[[], Problems]] = {
        "versions": check_versions,
        "changelog": lambda: check_changelog(arguments.tag),
        "requirements": check_requirements,
        "chart": lambda: check_chart(helm),
        "labels": check_labels,
    }
    if has_engine():
        checks["images"] = check_images
    failed = 0
    for name, check in checks.items():
        problems = list(check())
        failed += len(problems)
        print(f"{name}: {'ok' if not problems else ''}", *problems, sep="\n  " if problems else "")
    if "images" not in checks:
        print("images: not checked, no container engine answers here")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
