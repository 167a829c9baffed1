"""Every values file: lint, render, Kubernetes' schemas, the committed rendering."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache

import pytest
from kubernetes_validate import utils

from tests.chart.conftest import CHART, VALUES, Helm
from tests.chart.goldens import FOLDER, golden, golden_path
from tests.chart.objects import Object, Rendered
from tests.e2e import cluster

CUSTOM = {"HTTPRoute", "ScaledObject", "ServiceMonitor", "PrometheusRule"}
"""Kinds of other projects: there is no schema of them here, so they are not validated."""


def test_lint(helm: Helm, values: str) -> None:
    path = VALUES[values]
    done = helm.run(
        "lint",
        "--strict",
        str(CHART),
        "--set",
        "image.local=true",
        *(() if path is None else ("--values", str(path))),
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def validate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[Object], str], None]:
    """Validate objects against the schemas of a Kubernetes version; equal ones once, schemas read once."""
    monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))

    def validate(objects: Iterable[Object], version: str) -> None:
        distinct = {json.dumps(each): each for each in objects if each["kind"] not in CUSTOM}
        for item in distinct.values():
            utils.validate(item, version, strict=True)

    return validate


@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_kubernetes_accepts_every_object(
    helm: Helm, everything: Rendered, version: str, validate: Callable[[Iterable[Object], str], None]
) -> None:
    every = [each for values in VALUES for each in helm.rendered(values).objects]
    validate([*every, *everything.objects], version)


def test_an_object_that_is_wrong_is_refused(
    helm: Helm, validate: Callable[[Iterable[Object], str], None]
) -> None:
    service = helm.rendered("default").named("Service")["gateway"]
    with pytest.raises(utils.ValidationError):
        validate([{**service, "spec": {**service["spec"], "port": 1}}], "1.37")


def test_the_oldest_kubernetes_gets_the_apis_that_it_has(helm: Helm) -> None:
    old = helm.rendered("hpa", kubernetes="1.20.2")
    assert {each["apiVersion"] for each in old.of("HorizontalPodAutoscaler")} == {"autoscaling/v2beta2"}
    assert {each["apiVersion"] for each in old.of("PodDisruptionBudget")} == {"policy/v1beta1"}


def test_the_cluster_test_has_a_volume_for_each_claim_of_its_values(helm: Helm) -> None:
    rendered = helm.rendered("default", "--values", str(cluster.VALUES))
    claims = {each["metadata"]["name"] for each in rendered.of("PersistentVolumeClaim")}
    claims |= {f"state-{each['metadata']['name']}-0" for each in rendered.of("StatefulSet")}
    assert claims == set(cluster.CLAIMS)


def test_everything_that_can_be_switched_on(everything: Rendered) -> None:
    kinds = {each["kind"] for each in everything.objects}
    assert {*CUSTOM, "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Secret"} <= kinds


def test_rendered_as_committed(helm: Helm, values: str) -> None:
    """The whole text: of a golden that is a difference, the rendering it is compared with is committed whole."""
    assert golden_path(values).exists(), "run: make chart-goldens"
    committed = golden_path(values).read_text()
    assert golden(helm, values) == committed, "run: make chart-goldens, and look at the difference"


def test_no_golden_is_left_over() -> None:
    assert set(FOLDER.iterdir()) == {golden_path(values) for values in VALUES}


def test_the_schema_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_on_purpose = {"kubernetes", "global"}

    def check(node: object, name: str) -> None:
        if isinstance(node, list):
            for each in node:
                check(each, name)
        if not isinstance(node, dict):
            return
        if node.get("type") == "object" and name not in open_on_purpose:
            assert "additionalProperties" in node, f"{name} takes any key"
            if "properties" in node:
                assert node["additionalProperties"] is False, f"{name} takes any key"
        for key, child in node.items():
            check(child, key)

    check(schema, "values")
