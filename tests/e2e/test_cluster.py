"""The chart on a cluster: install, `helm test`, a swap, a rollback and each component's death while a client asks.

`make test-cluster`, with KUBECONFIG. CLUSTER_VALUES names a further values file, such as one with `image.registry`;
CLUSTER_VOLUMES a folder of the node, where the cluster is this machine alone and has no storage class.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.asking import COLLECTION
from tests.e2e.cluster import AUTHORIZATION, Cluster, component, ready, required
from tests.e2e.docker import ROOT
from tests.e2e.watched import Watched

KNOWLEDGE = sorted((ROOT / "docs" / "examples" / "knowledge-base").glob("*.md"))
SETTLE_SECONDS = 15
JOB_SECONDS = 300
pytestmark = pytest.mark.timeout(3600)

UNAVAILABLE = "503 service_unavailable"
EXPECTED = {
    # two pods: the other one answers
    "gateway": set(),
    "embedding": {f"{UNAVAILABLE} embedding"},
    "retrieval": {f"{UNAVAILABLE} retrieval"},
    # answers without it are marked, and no error
    "reranking": set(),
    "generation": {f"{UNAVAILABLE} generation"},
    "dataprep": {f"{UNAVAILABLE} dataprep"},
}
"""By the component whose pod is deleted: docs/deploy/operate.md has the same table."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    environment = os.environ
    cluster = Cluster(
        required(),
        f"ragline-test-{os.getpid()}",
        environment.get("CLUSTER_VOLUMES", ""),
        environment.get("CLUSTER_VALUES", ""),
    )
    try:
        cluster.prepare(Path(environment.get("RAGLINE_HOME", "~/.ragline")).expanduser() / "models")
        began = time.monotonic()
        cluster.install()
        print(f"\ninstalled, all ready: {time.monotonic() - began:.0f} s")
        with cluster.gateway() as url:
            files = [("files", (path.name, path.read_bytes())) for path in KNOWLEDGE]
            httpx.post(
                f"{url}/v1/documents", files=files, headers=AUTHORIZATION, timeout=300
            ).raise_for_status()
            body = {"messages": [{"role": "user", "content": "How many grams are in one pound?"}]}
            reply = httpx.post(f"{url}/v1/chat/completions", json=body, headers=AUTHORIZATION, timeout=300)
            assert "453" in reply.json()["choices"][0]["message"]["content"], reply.text
        print(f"first answer, {len(KNOWLEDGE)} documents ingested: {time.monotonic() - began:.0f} s")
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Cluster:
    cluster.start_client()
    time.sleep(SETTLE_SECONDS)
    return cluster


def report(what: str, seconds: float, seen: Watched) -> None:
    print(f"\n{what}: {seconds:.0f} s\n  {seen}")


def no_document_is_lost(cluster: Cluster, seen: Watched) -> None:
    """What was accepted is done, and listed: the list is that of the store."""
    accepted = {line.job: line.name for line in seen.documents if line.job}
    assert accepted
    with cluster.gateway() as url:
        deadline = time.monotonic() + JOB_SECONDS
        for job in accepted:
            path = f"{url}/v1/jobs/{job}"
            while (state := httpx.get(path, headers=AUTHORIZATION, timeout=60).json())["status"] != "done":
                assert state["status"] in ("queued", "running", "waiting"), state
                assert time.monotonic() < deadline, state
                time.sleep(1)
        query = {"collection": COLLECTION}
        listed = httpx.get(f"{url}/v1/documents", params=query, headers=AUTHORIZATION, timeout=60).json()
    assert set(accepted.values()) <= {document["name"] for document in listed["documents"]}


def test_every_pod_is_ready_and_helm_test_passes(cluster: Cluster) -> None:
    pods = cluster.pods().values()
    assert {component(pod) for pod in pods} == set(EXPECTED)
    assert all(map(ready, pods))
    began = time.monotonic()
    said = cluster.helm("test", "ragline", "--logs", "--timeout", "1000s")
    assert "passed" in said
    print(f"\nhelm test: {time.monotonic() - began:.0f} s\n{said[said.index('ok ') :]}")


def test_the_model_is_swapped_under_a_client_without_a_failed_request(client: Cluster) -> None:
    before = set(client.pods())
    since, began = client.now(), time.monotonic()
    client.upgrade("llm.backend=large")
    seconds = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    seen = client.watched(since, client.now())
    report("helm upgrade --set llm.backend=large", seconds, seen)
    assert seen.models() == ["small", "large"]
    assert not seen.failed
    assert {name.rsplit("-", 2)[0] for name in before ^ set(client.pods())} == {"ragline-generation"}
    no_document_is_lost(client, seen)


def test_a_rollback_brings_the_model_back_without_a_failed_request(client: Cluster) -> None:
    since, began = client.now(), time.monotonic()
    client.helm("rollback", "ragline", "1", "--wait", "--timeout", "1800s")
    seconds = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    seen = client.watched(since, client.now())
    report("helm rollback", seconds, seen)
    assert seen.models() == ["large", "small"]
    assert not seen.failed
    no_document_is_lost(client, seen)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_deleted_pod_costs_no_document_and_only_the_documented_errors(client: Cluster, name: str) -> None:
    pod = next(each for each, found in client.pods().items() if component(found) == name)
    since, began = client.now(), time.monotonic()
    client.replace(pod)
    seconds = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    seen = client.watched(since, client.now())
    report(f"kubectl delete pod {pod}", seconds, seen)
    assert seen.errors() <= EXPECTED[name]
    assert not seen.questions[-1].failed
    no_document_is_lost(client, seen)
