"""Every pod of every values file is admitted by PodSecurity "restricted" and OpenShift's restricted-v2.

The exceptions are named: what the images of engines on Gaudi need, and what vLLM's docs ask for on several sockets.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.admission import check_baseline, check_restricted, check_restricted_v2
from tests.chart.conftest import VALUES, Helm
from tests.chart.objects import Rendered
from tests.soak import rounds

ROOT_USER = {"runAsNonRoot", "runAsUser"}
"""vLLM's and TGI's images for Gaudi run as root."""
MOST = ("default", "gaudi", "hpa", "xeon")
"""The values files that have every kind of pod between them; the others are rendered so in `make test-chart`."""
SOCKET = {"seccompProfile", "capabilities.add"}
"""vLLM binds its memory to the socket of its threads, where a model says `numa`."""


def exceptions(values: str) -> dict[str, set[str]]:
    """Component to the rules that its values say it cannot keep."""
    path = VALUES[values]
    models = {} if path is None else yaml.safe_load(path.read_text())["models"]
    found: dict[str, set[str]] = {}
    for name, model in models.items():
        if not model:
            continue
        if model.get("hardware") == "gaudi" and model["engine"] in {"vllm", "tgi"}:
            found[f"llm-{name}"] = ROOT_USER
        elif model.get("numa"):
            found[f"llm-{name}"] = SOCKET
    return found


def accounts(values: str) -> tuple[str, ...]:
    """Arguments that give a service account of its own to each engine that restricted-v2 does not admit."""
    names = [name.removeprefix("llm-") for name in exceptions(values)]
    return tuple(
        argument for name in names for argument in ("--set", f"models.{name}.serviceAccountName=engines")
    )


def test_restricted_admits_every_pod(rendered: Rendered, values: str) -> None:
    broken = {name: rules for name, pod in rendered.pods().items() if (rules := check_restricted(pod))}
    assert broken == exceptions(values)


def test_the_root_file_system_is_read_only_but_where_an_image_writes_to_it(
    rendered: Rendered, values: str
) -> None:
    writers = {name for name, rules in exceptions(values).items() if rules == ROOT_USER}
    for name, container in rendered.containers():
        assert container["securityContext"]["readOnlyRootFilesystem"] is (name not in writers), name


def test_engines_that_run_as_root_still_pass_baseline(helm: Helm) -> None:
    for values in ("gaudi", "gaudi-tgi"):
        for name, pod in helm.rendered(values).pods().items():
            assert check_baseline(pod) == set(), name


@pytest.mark.parametrize(
    "values", sorted(VALUES, key=lambda name: name not in MOST)[: rounds(len(MOST), len(VALUES))]
)
def test_openshift_admits_every_pod(helm: Helm, values: str) -> None:
    rendered = helm.rendered(values, "--set", "openshift=true", *accounts(values))
    wanted = exceptions(values)
    for name, pod in rendered.pods().items():
        if name in wanted:
            assert pod["serviceAccountName"] == "engines"
        else:
            assert check_restricted_v2(pod) == set(), name
            assert check_restricted(pod) == set(), name


def test_an_engine_that_openshift_would_refuse_is_refused_before(helm: Helm) -> None:
    for values in ("xeon", "gaudi", "gaudi-tgi")[: rounds(1, 3)]:
        path = VALUES[values]
        said = helm.refusal("--values", str(path), "--set", "openshift=true")
        assert "serviceAccountName: openshift admits" in said
        assert "docs/deploy/openshift.md" in said


OWN = """
podSecurityContext: {fsGroup: 2000, supplementalGroups: [44]}
securityContext: {runAsUser: 1234}
gateway:
  podSecurityContext: {runAsUser: 1000680000, runAsGroup: null}
  securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}, readOnlyRootFilesystem: false}
  serviceAccountName: other
"""


def test_contexts_of_one_s_own_go_over_the_release_s(helm: Helm, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(OWN)
    rendered = helm.rendered("default", "--values", str(path))
    gateway, retrieval = (rendered.pods()[name] for name in ("gateway", "retrieval"))
    assert gateway["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000680000,
        "fsGroup": 2000,
        "supplementalGroups": [44],
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert gateway["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "runAsUser": 1234,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    assert gateway["serviceAccountName"] == "other"
    assert retrieval["securityContext"]["runAsUser"] == 10001
    assert retrieval["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    ids = helm.rendered("default", "--values", str(path), "--set", "openshift=true").pods()["gateway"]
    assert ids["securityContext"]["runAsUser"] == 1000680000, "what a component names is meant"
    assert "fsGroup" not in ids["securityContext"]


CHANGES: list[tuple[str, Any, str]] = [
    ("hostNetwork", True, "hostNetwork"),
    ("hostPID", True, "hostPID"),
    ("hostIPC", True, "hostIPC"),
    ("volumes", [{"name": "v", "hostPath": {"path": "/"}}], "hostPath"),
    ("volumes", [{"name": "v", "nfs": {"server": "a", "path": "/"}}], "volumes"),
    ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctls"),
    ("securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    ("securityContext.seLinuxOptions", {"user": "system_u"}, "seLinuxOptions"),
    ("securityContext.appArmorProfile", {"type": "Unconfined"}, "appArmorProfile"),
    ("securityContext.runAsNonRoot", False, "runAsNonRoot"),
    ("securityContext.runAsUser", 0, "runAsUser"),
    ("containers.0.securityContext.privileged", True, "privileged"),
    ("containers.0.securityContext.procMount", "Unmasked", "procMount"),
    ("containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_NICE"]}, "capabilities.add"),
    ("containers.0.securityContext.capabilities", {"drop": ["NET_RAW"]}, "capabilities.drop"),
    ("containers.0.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
    ("containers.0.securityContext.windowsOptions", {"hostProcess": True}, "hostProcess"),
    ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "hostPort"),
    ("containers.0.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 80}}, "host of a probe"),
    ("initContainers", [{"name": "first", "securityContext": {}}], "allowPrivilegeEscalation"),
]


@pytest.mark.parametrize(("path", "value", "rule"), CHANGES)
def test_a_pod_that_breaks_a_rule_is_found(helm: Helm, path: str, value: Any, rule: str) -> None:
    pod: Any = copy.deepcopy(helm.rendered("default").pods()["gateway"])
    assert check_restricted(pod) == set()
    *folders, last = path.split(".")
    place = pod
    for folder in folders:
        place = place[int(folder)] if folder.isdigit() else place[folder]
    place[last] = value
    assert rule in check_restricted(pod)


@pytest.mark.parametrize("field", ["runAsUser", "fsGroup"])
def test_a_fixed_id_is_found(helm: Helm, field: str) -> None:
    assert field in check_restricted_v2(helm.rendered("default").pods()["gateway"])
