"""A release of the chart on the cluster that KUBECONFIG names, and a client inside the cluster that asks it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.docker import ROOT, SWITCH
from tests.e2e.watched import Line, Watched

RELEASE = "ragline"
CHART = ROOT / "kubernetes" / "ragline"
VALUES = Path(__file__).with_name("cluster-values.yaml")
KEY = "rl_testtesttesttesttesttesttesttesttesttesttes"
"""The admin key of cluster-values.yaml."""
AUTHORIZATION = {"authorization": f"Bearer {KEY}"}
CLIENT = Path(__file__).with_name("asking.py")
MODELS = ("all-minilm-l6-v2", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct")
INSTALL_SECONDS = 1800
ANSWER_SECONDS = 150
REPLACE_SECONDS = 600
CLAIMS = {
    "ragline-embedding": "embedding.cache",
    "ragline-generation": "generation.cache",
    "state-ragline-retrieval-0": "retrieval.persistence",
    "state-ragline-dataprep-0": "dataprep.persistence",
}
USER = 10001

Object = dict[str, Any]


def required() -> tuple[str, str]:
    """helm and kubectl; skips where these tests were not asked for, fails where there is no cluster."""
    if os.environ.get(SWITCH) != "cluster":
        pytest.skip(f"{SWITCH}=cluster and KUBECONFIG run this: `make test-cluster`")
    if not os.environ.get("KUBECONFIG"):
        pytest.fail(
            "KUBECONFIG is not set: it names the cluster to install on, so that no other one is taken"
        )
    own = ROOT / "build" / "tools"
    path = f"{own}{os.pathsep}{os.environ.get('PATH', '')}"
    found = [shutil.which(name, path=path) for name in ("helm", "kubectl")]
    if not all(found):
        pytest.fail("no helm or no kubectl: run 'make build/tools/helm', or install them")
    helm, kubectl = map(str, found)
    told = subprocess.run([kubectl, "get", "--raw", "/readyz"], capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.fail(f"the cluster of KUBECONFIG does not answer: {told.stderr.strip()}")
    return helm, kubectl


class Cluster:
    """A namespace with one release. `volumes`: a folder of the only node, where there is no storage class."""

    def __init__(self, tools: tuple[str, str], namespace: str, volumes: str, values: str) -> None:
        self._helm, self._kubectl = tools
        self.namespace = namespace
        self._volumes = Path(volumes) if volumes else None
        self._values = [str(VALUES), *([values] if values else [])]

    def helm(self, *arguments: str, seconds: float = INSTALL_SECONDS) -> str:
        return self._run([self._helm, "--namespace", self.namespace, *arguments], seconds)

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = 120) -> str:
        return self._run([self._kubectl, "--namespace", self.namespace, *arguments], seconds, given)

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "--filename", "-", given=yaml.safe_dump_all(objects))

    def prepare(self, models: Path) -> None:
        """The namespace, and in `volumes` a volume for each claim, the models that were fetched before in them."""
        self.kubectl("create", "namespace", self.namespace)
        if self._volumes is None:
            return
        for claim, key in CLAIMS.items():
            folder = self._volumes / claim
            folder.mkdir(parents=True)
            if key.endswith("cache"):
                for name in MODELS if "generation" in claim else MODELS[:1]:
                    if (models / name).is_dir():
                        shutil.copytree(models / name, folder / "models" / name)
            self._hand_over(folder)
            self.apply(self._volume(claim, folder))

    def install(self) -> None:
        self.helm("install", RELEASE, str(CHART), *self._arguments(), "--wait", *self._timeout())

    def upgrade(self, *changes: str) -> None:
        settings = [part for change in changes for part in ("--set", change)]
        self.helm(
            "upgrade", RELEASE, str(CHART), "--reset-then-reuse-values", *settings, "--wait", *self._timeout()
        )

    def remove(self) -> None:
        """All of it, the claims and the volumes too."""
        with contextlib.suppress(AssertionError):
            self.kubectl("delete", "pod", "asking", "--ignore-not-found")
        with contextlib.suppress(AssertionError):
            self.helm("uninstall", RELEASE, "--wait", "--timeout", "300s")
        with contextlib.suppress(AssertionError):
            self.kubectl("delete", "namespace", self.namespace, "--timeout", "300s", seconds=330)
        if self._volumes is not None:
            self.kubectl("delete", "pv", "--selector", f"for={self.namespace}", "--timeout", "60s")
            for claim in CLAIMS:
                shutil.rmtree(self._volumes / claim, ignore_errors=True)

    def pods(self) -> dict[str, Object]:
        """The release's pods by name, without those that end and those of hooks."""
        listed = json.loads(self.kubectl("get", "pods", "--output", "json"))["items"]
        return {
            pod["metadata"]["name"]: pod
            for pod in listed
            if component(pod) and component(pod) != "test" and "deletionTimestamp" not in pod["metadata"]
        }

    def replace(self, pod: str) -> None:
        """Delete a pod, and wait until there are as many as before without it, all ready."""
        before = self.pods()
        gone, name = uid(before[pod]), component(before[pod])
        wanted = sum(component(each) == name for each in before.values())
        self.kubectl("delete", "pod", pod, "--wait=false")
        deadline = time.monotonic() + REPLACE_SECONDS
        while time.monotonic() < deadline:
            now = [each for each in self.pods().values() if component(each) == name]
            if len(now) == wanted and all(ready(each) and uid(each) != gone for each in now):
                return
            time.sleep(0.5)
        pytest.fail(f"{name} was not replaced within {REPLACE_SECONDS} s")

    @contextlib.contextmanager
    def gateway(self) -> Iterator[str]:
        """A URL of the gateway on loopback."""
        command = [
            self._kubectl,
            "--namespace",
            self.namespace,
            "port-forward",
            f"svc/{RELEASE}-gateway",
            ":8888",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            try:
                assert forward.stdout is not None
                told = forward.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", told)
                assert found, f"port-forward said {told!r}"
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                forward.terminate()

    def start_client(self) -> None:
        """asking.py in a pod of its own, of the gateway's image."""
        deployment = json.loads(self.kubectl("get", "deployment", f"{RELEASE}-gateway", "--output", "json"))
        pod = deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]
        metadata = {"name": "asking"}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {CLIENT.name: CLIENT.read_text()},
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 0,
                    "enableServiceLinks": False,
                    "imagePullSecrets": pod.get("imagePullSecrets", []),
                    "containers": [
                        {
                            "name": "asking",
                            "image": container["image"],
                            "imagePullPolicy": container["imagePullPolicy"],
                            "command": ["python", f"/client/{CLIENT.name}", f"http://{RELEASE}-gateway:8888"],
                            "env": [{"name": "RAGLINE_API_KEY", "value": KEY}],
                            "volumeMounts": [{"name": "client", "mountPath": "/client"}],
                        }
                    ],
                    "volumes": [{"name": "client", "configMap": metadata}],
                },
            },
        )
        self.kubectl("wait", "pod/asking", "--for=condition=Ready", "--timeout", "120s", seconds=150)

    def now(self) -> float:
        """The client's clock, which its lines are stamped by."""
        return float(self.kubectl("exec", "asking", "--", "date", "+%s.%N"))

    def watched(self, since: float, until: float) -> Watched:
        """What the client saw of all that it sent between two moments, once all of that has ended."""
        deadline = time.monotonic() + ANSWER_SECONDS + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # a small node's API server is late at times: ask again
                lines = [Line.read(line) for line in self.kubectl("logs", "asking").splitlines()]
                if (found := Watched.between(lines, since, until)) is not None:
                    return found
            time.sleep(2)
        pytest.fail("the client's questions did not all end")

    def _arguments(self) -> list[str]:
        given = [part for path in self._values for part in ("--values", path)]
        if self._volumes is not None:
            given += [part for key in CLAIMS.values() for part in ("--set", f"{key}.storageClass=-")]
        return given

    @staticmethod
    def _timeout() -> tuple[str, str]:
        return "--timeout", f"{INSTALL_SECONDS}s"

    def _volume(self, claim: str, folder: Path) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self.namespace}-{claim}", "labels": {"for": self.namespace}},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": self.namespace, "name": claim},
                "hostPath": {"path": str(folder)},
            },
        }

    @staticmethod
    def _hand_over(folder: Path) -> None:
        """To the pods' user: Kubernetes changes no owner on a path of the node."""
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER)

    @staticmethod
    def _run(command: list[str], seconds: float, given: str | None = None) -> str:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-3000:] or done.stdout[-3000:]}"
        return done.stdout


def component(item: Object) -> str:
    return str(item["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def uid(item: Object) -> str:
    return str(item["metadata"]["uid"])


def ready(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"
