"""A registry of its own for a test: Debian's `docker-registry`, from the path or unpacked out of its package."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.docker import ROOT
from tests.ports import free_port

FOLDER = ROOT / "build" / "tools" / "registry"
PACKAGE = "docker-registry"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = f"{MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"


def find_registry() -> str:
    """Find the program; where it is not installed, its package is fetched and unpacked, not installed.

    Raises:
        RuntimeError: There is none, and no Debian to have it from.
    """
    unpacked = FOLDER / "usr" / "bin" / PACKAGE
    found = (
        os.environ.get("REGISTRY") or shutil.which(PACKAGE) or (str(unpacked) if unpacked.exists() else None)
    )
    if found:
        return found
    if shutil.which("apt-get") is None:
        raise RuntimeError("no docker-registry, and no apt-get to fetch it with: set REGISTRY to the program")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", PACKAGE], cwd=FOLDER, check=True, capture_output=True)
    (package,) = FOLDER.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(FOLDER)], check=True)
    return str(unpacked)


class Registry:
    """A running registry, spoken to as the OCI's distribution specification has it."""

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.address = address
        self._http = client

    def find_digest(self, repository: str, reference: str) -> str:
        """Return the digest of what a tag or digest names. Raises `httpx.HTTPStatusError` where there is nothing."""
        reply = self._http.head(f"/v2/{repository}/manifests/{reference}", headers={"accept": ACCEPT})
        reply.raise_for_status()
        return str(reply.headers["docker-content-digest"])

    def push_stub(self, repository: str, tag: str, labels: dict[str, str]) -> str:
        """Push an image of one empty layer with these labels; returns its digest."""
        layer = b"\0" * 1024  # the end of a tar file, and nothing before it
        config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._push(
                repository, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"
            ),
            "layers": [self._push(repository, layer, "application/vnd.oci.image.layer.v1.tar")],
        }
        body = json.dumps(manifest).encode()
        self._http.put(
            f"/v2/{repository}/manifests/{tag}", content=body, headers={"content-type": MANIFEST}
        ).raise_for_status()
        return digest_of(body)

    def _push(self, repository: str, data: bytes, media: str) -> dict[str, Any]:
        begun = self._http.post(f"/v2/{repository}/blobs/uploads/")
        begun.raise_for_status()
        place, digest = begun.headers["location"], digest_of(data)
        joint = "&" if "?" in place else "?"
        headers = {"content-type": "application/octet-stream"}
        self._http.put(f"{place}{joint}digest={digest}", content=data, headers=headers).raise_for_status()
        return {"mediaType": media, "digest": digest, "size": len(data)}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def start_registry(folder: Path) -> Iterator[Registry]:
    """Run a registry on loopback that keeps everything in a folder; ended afterwards."""
    address = f"127.0.0.1:{free_port()}"
    config = folder / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "store")}}
    config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([find_registry(), "serve", str(config)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://{address}/v2/").raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"the registry does not start: {(folder / 'registry.log').read_text()}")
                time.sleep(0.1)
        with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
            yield Registry(address, client)
    finally:
        process.terminate()
        process.wait(timeout=30)
