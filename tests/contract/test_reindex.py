"""`ragline reindex` with real processes: another embedding model, a SIGKILL on the way, readers all along."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from services.cli.local.stack import Stack
from tests.command_line import call_ragline
from tests.ports import free_ports

PASSAGES = 120
ALIAS = "docs"
OLD = "docs-v1"
SECONDS = 120.0


@dataclass
class Deployment:
    stack: Stack
    environment: dict[str, str]

    def call(self, method: str, path: str, service: str = "retrieval", **content: object) -> httpx.Response:
        return httpx.request(method, f"{self.stack.url(service)}{path}", timeout=60, **content)  # type: ignore[arg-type]

    def embed(self, text: str) -> list[float]:
        vector: list[float] = self.call("POST", "/embed", "embedding", json={"inputs": text}).json()[0]
        return vector

    def search(self, text: str, **options: object) -> httpx.Response:
        body = {"text": text, "collection": ALIAS, "k": 3, **options}
        return self.call("POST", "/v1/retrieval", json=body)

    def store(self, collection: str, model: str, texts: list[str]) -> httpx.Response:
        passages = [
            {
                "passage": {
                    "id": f"p{n}",
                    "document_id": f"d{n // 8}",
                    "text": text,
                    "index": n % 8,
                    "revision": "1",
                },
                "vector": self.embed(text),
            }
            for n, text in enumerate(texts)
        ]
        return self.call(
            "POST", "/v1/passages", json={"collection": collection, "model": model, "passages": passages}
        )

    def collections(self) -> dict[str, dict[str, object]]:
        reply = self.call("GET", "/v1/collections").json()
        return {one["name"]: one for one in reply["collections"]}

    def with_urls(self) -> dict[str, str]:
        urls = {f"{name.upper()}_URL": self.stack.url(name) for name in ("embedding", "retrieval")}
        return {**self.environment, **urls}

    def reindex(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("ragline")), "reindex", *arguments],
            env=self.with_urls(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def reindexed(self, *arguments: str) -> str:
        done = call_ragline("reindex", *arguments, env=self.with_urls())
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@dataclass
class Reader:
    """Searches by words, which no embedding model changes, over and over."""

    deployment: Deployment
    bad: list[str] = field(default_factory=list)
    good: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            reply = self.deployment.search("How heavy is item 7?", mode="sparse")
            found = reply.json().get("retrieved_docs") if reply.status_code == 200 else None
            if found and found[0]["id"] == "p7":
                self.good += 1
            else:
                self.bad.append(reply.text)


@pytest.fixture
def deployment(models_home: Path, tmp_path: Path) -> Iterator[Deployment]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    environment = {
        **kept,
        "RAGLINE_HOME": str(models_home),
        "VECTOR_URL": f"edge://{tmp_path}/vectors",
        "EMBEDDING_BACKEND": "fake",
        "FAKE_EMBEDDING_DIM": "16",
    }
    with Stack(
        models_home, environment, free_ports(["embedding", "retrieval"]), run=tmp_path / "run"
    ) as stack:
        for name in ("embedding", "retrieval"):
            stack.start(name)
        stack.wait_ready(SECONDS)
        yield Deployment(stack, environment)


def test_another_embedding_model_and_nobody_notices(deployment: Deployment) -> None:
    texts = [f"Item {n} weighs {n * 3} grams and is kept on shelf {n % 17}." for n in range(PASSAGES)]
    model = deployment.call("GET", "/info", "embedding").json()["model_id"]
    assert deployment.store(OLD, model, texts).status_code == 200
    assert deployment.call("PUT", f"/v1/aliases/{ALIAS}", json={"collection": OLD}).status_code < 300
    assert (
        deployment.search(texts[7], embedding=deployment.embed(texts[7])).json()["retrieved_docs"][0]["id"]
        == "p7"
    )

    deployment.stack.restart("embedding", {"EMBEDDING_BACKEND": "openvino"})
    deployment.stack.wait_ready(SECONDS, ["embedding"])
    minilm = deployment.call("GET", "/info", "embedding").json()["model_id"]
    refused = deployment.search(texts[7], embedding=deployment.embed(texts[7]))
    assert refused.status_code == 422
    assert "16" in refused.json()["error"]["message"]
    assert deployment.store(OLD, minilm, texts[:1]).status_code == 409

    reader = Reader(deployment)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        new = f"{ALIAS}.all-minilm-l6-v2"
        killed = deployment.reindex(ALIAS, "--batch", "4")
        deadline = time.monotonic() + SECONDS
        while deployment.collections().get(new, {}).get("passages", 0) < 20:  # type: ignore[operator]
            assert killed.poll() is None
            assert time.monotonic() < deadline
        killed.kill()
        killed.communicate()
        there = deployment.collections()[new]["passages"]
        assert deployment.call("GET", "/v1/aliases").json()["aliases"] == {ALIAS: OLD}

        output = deployment.reindexed(ALIAS)
    finally:
        reader.stopped.set()
        thread.join()
    assert there < PASSAGES  # type: ignore[operator]
    assert f"{there} of them are there already" in output
    assert reader.bad == []
    assert reader.good
    assert deployment.call("GET", "/v1/aliases").json()["aliases"] == {ALIAS: new}
    assert {name: one["passages"] for name, one in deployment.collections().items()} == {
        OLD: PASSAGES,
        new: PASSAGES,
    }
    found = deployment.search(
        "What does item 7 weigh?", embedding=deployment.embed("What does item 7 weigh?"), mode="dense"
    )
    assert found.json()["retrieved_docs"][0]["score"] > 0.5
    vectors = deployment.call("POST", "/v1/passages/token_vectors", json={"collection": ALIAS, "ids": ["p7"]})
    assert vectors.json()["token_vectors"]["p7"]["dim"] == 384
    assert "already" in deployment.reindexed(ALIAS)


def test_a_name_that_is_no_alias_is_switched_only_where_the_old_may_go(deployment: Deployment) -> None:
    texts = [f"Item {n}." for n in range(10)]
    model = deployment.call("GET", "/info", "embedding").json()["model_id"]
    deployment.store(ALIAS, model, texts)
    deployment.stack.restart("embedding", {"FAKE_EMBEDDING_DIM": "32"})
    deployment.stack.wait_ready(SECONDS, ["embedding"])
    assert "--drop-old" in deployment.reindexed(ALIAS)
    assert deployment.collections()[ALIAS]["dim"] == 16
    deployment.reindexed(ALIAS, "--drop-old")
    (left,) = deployment.collections().values()
    assert (left["dim"], left["passages"], left["aliases"]) == (32, 10, [ALIAS])
    missing = deployment.reindex("nowhere")
    assert "there is no collection nowhere" in missing.communicate(timeout=SECONDS)[0]
    assert missing.returncode == 1
