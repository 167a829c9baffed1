"""A release through a registry of the test's own: images by digest, the chart as an artefact, air-gapped values.

`make test-registry`. Images that `make images` made of this content are pushed where a container engine answers; without it
stubs of the same names stand in for them, which is enough for references. Nothing is installed: that needs a cluster whose
nodes reach the registry.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.chart.conftest import ADMIN_KEY
from tests.e2e.docker import ROOT, SWITCH
from tests.e2e.registry import Registry, start_registry
from tests.release.check import SERVICES, has_engine
from tests.release.content import name_content, read_version
from tests.release.stamp import stamp_chart

pytestmark = pytest.mark.timeout(1800)  # pushing packs six images
AIR_GAPPED = """
models:
  large: null
  small:
    modelPath: /var/lib/ragline/models/own.gguf
generation:
  cache: {existingClaim: models}
embedding:
  cache: {existingClaim: models-of-embedding}
networkPolicy:
  outside: {cidr: 127.0.0.0/8, except: []}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if os.environ.get(SWITCH) != "registry":
        pytest.skip(f"{SWITCH}=registry runs this: `make test-registry`")
    with start_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    own = ROOT / "build" / "tools" / "helm"
    found = os.environ.get("HELM") or (str(own) if own.exists() else shutil.which("helm"))
    assert found, "no helm: make build/tools/helm"
    return Helm(found)


class Helm:
    """The program, which must succeed."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._path, *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def digests(registry: Registry) -> dict[str, str]:
    """The six images in the registry, by service."""
    tag, pushed = name_content(), {}
    for service in SERVICES:
        local = f"ragline-{service}:{tag}"
        if (
            has_engine()
            and not subprocess.run(
                ["docker", "image", "inspect", local], capture_output=True, check=False
            ).returncode
        ):
            there = f"{registry.address}/team/ragline-{service}:{read_version()}"
            subprocess.run(["docker", "tag", local, there], check=True)
            subprocess.run(["docker", "push", "--quiet", there], check=True, capture_output=True)
            subprocess.run(["docker", "rmi", there], check=True, capture_output=True)
            pushed[service] = registry.find_digest(f"team/ragline-{service}", read_version())
            print(f"{service}: the image of make images, {pushed[service]}")
        else:
            labels = {"org.opencontainers.image.title": f"ragline-{service}"}
            pushed[service] = registry.push_stub(f"team/ragline-{service}", read_version(), labels)
            print(f"{service}: a stub, {pushed[service]}")
    return pushed


@pytest.fixture(scope="module")
def pulled(
    registry: Registry, digests: dict[str, str], helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The chart of a release: stamped, packaged, pushed, and pulled by the digest that pushing said."""
    folder = tmp_path_factory.mktemp("chart")
    stamp_chart(f"{registry.address}/team", digests, folder / "ragline")
    helm("package", str(folder / "ragline"), "--destination", str(folder))
    archive = folder / f"ragline-{read_version()}.tgz"
    said = helm("push", str(archive), f"oci://{registry.address}/charts", "--plain-http")
    digest = re.search(r"Digest: (sha256:[0-9a-f]{64})", said)
    assert digest, said
    assert registry.find_digest("charts/ragline", read_version()) == digest[1]
    place = tmp_path_factory.mktemp("pulled")
    helm(
        "pull",
        f"oci://{registry.address}/charts/ragline@{digest[1]}",
        "--plain-http",
        "--destination",
        str(place),
    )
    (found,) = place.glob("*.tgz")
    assert found.read_bytes() == archive.read_bytes(), "what was pulled is what was packaged"
    return found


@pytest.fixture
def images(pulled: Path, helm: Helm, tmp_path: Path) -> list[str]:
    """Every image of the pulled chart, rendered with values for a network without a way out."""
    values = tmp_path / "values.yaml"
    values.write_text(AIR_GAPPED)
    text = helm(
        "template", "ragline", str(pulled), "--values", str(values), "--set", f"keys.adminKey={ADMIN_KEY}"
    )
    documents = [one for one in yaml.safe_load_all(text.partition("level=")[0]) if one]
    found = []
    for one in documents:
        pod = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec", {})
        found += [
            container["image"] for container in [*pod.get("containers", []), *pod.get("initContainers", [])]
        ]
    return found


def test_every_image_is_one_of_the_registry_by_digest(
    registry: Registry, digests: dict[str, str], images: list[str]
) -> None:
    assert {image.rpartition("@")[0].rpartition("-")[2].partition(":")[0] for image in images} == set(
        SERVICES
    )
    for image in images:
        reference, _, digest = image.partition("@")
        host, _, path = reference.partition("/")
        repository, _, tag = path.partition(":")
        assert host == registry.address
        assert tag == read_version()
        assert registry.find_digest(repository, digest) == digest == registry.find_digest(repository, tag)


def test_an_image_that_is_built_again_under_the_tag_changes_nothing(
    registry: Registry, digests: dict[str, str], images: list[str]
) -> None:
    other = registry.push_stub("team/ragline-gateway", read_version(), {"built": "again"})
    assert other != digests["gateway"]
    gateway = next(image for image in images if "ragline-gateway" in image)
    assert gateway.endswith(digests["gateway"])
    assert registry.find_digest("team/ragline-gateway", digests["gateway"]) == digests["gateway"]
    with pytest.raises(httpx.HTTPStatusError):
        registry.find_digest("team/ragline-gateway", f"sha256:{'0' * 64}")
