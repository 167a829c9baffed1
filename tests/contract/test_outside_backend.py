"""A backend from a package outside of this repository: installed by pip, found by its entry point, and served."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import orjson
import pytest

from services.core.backends import UnknownBackend, load, names
from services.core.client import HttpClient
from services.core.errors import ServiceError
from services.core.retry import RetryPolicy
from services.reranking.backend import PACKAGE
from tests.ports import free_port

MODULE = '''"""Shorter is better."""


class Brevity:
    model = "brevity"

    def dependencies(self):
        return {}

    async def ready(self):
        return None

    async def close(self):
        return None

    async def score(self, query, passages, *, collection, truncate=True):
        return [-float(len(passage.text)) for passage in passages]


async def create():
    return Brevity()
'''
ENTRY_POINTS = """[ragline.backends.reranking]
brevity = ragline_brevity.store
broken = ragline_brevity.broken
fake = ragline_brevity.broken
"""


def write_wheel(folder: Path) -> Path:
    """Write the wheel of the package `ragline-brevity`."""
    path, info = folder / "ragline_brevity-1.0-py3-none-any.whl", "ragline_brevity-1.0.dist-info"
    files = {
        "ragline_brevity/__init__.py": "",
        "ragline_brevity/store.py": MODULE,
        "ragline_brevity/broken.py": "import a_database_driver\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ragline-brevity\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with `ragline-brevity` installed in it."""
    folder = tmp_path_factory.mktemp("outside")
    wheel = write_wheel(folder)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def test_the_backend_is_listed_beside_the_services_own(site, monkeypatch):
    assert "brevity" not in names(PACKAGE)
    monkeypatch.syspath_prepend(str(site))
    assert {"brevity", "fake", "none", "tei"} <= set(names(PACKAGE))
    assert "brevity" not in names("services.embedding.backends")


async def test_it_is_loaded_and_the_services_own_come_first(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    reranker = await load(PACKAGE, "brevity").create()  # type: ignore[attr-defined]
    assert reranker.model == "brevity"
    assert load(PACKAGE, "fake").__name__ == f"{PACKAGE}.fake"  # type: ignore[attr-defined]


def test_a_package_that_it_lacks_is_named_with_what_needs_it(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(UnknownBackend, match=r"needs the package 'a_database_driver': .*ragline-brevity"):
        load(PACKAGE, "broken")
    with pytest.raises(UnknownBackend, match=r"unknown backend 'brief': choose one of brevity, broken, fake"):
        load(PACKAGE, "brief")


async def test_a_service_runs_with_it(site):
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "RERANKING_BACKEND": "brevity",
        "RERANKING_PORT": str(port),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.reranking", env=environment, stderr=subprocess.PIPE
    )
    try:
        async with HttpClient("reranking", f"http://127.0.0.1:{port}") as client:
            up = RetryPolicy(deadline=60, longest=0.5, retries=lambda error: isinstance(error, ServiceError))
            await up.call(client.ready)
            body = await client.post("/rerank", {"query": "q", "texts": ["xxx", "x"], "raw_scores": True})
        assert [rank["score"] for rank in orjson.loads(body)] == [-1.0, -3.0]
    finally:
        child.terminate()
        await child.communicate()
