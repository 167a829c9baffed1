"""Knobs that every chart has, alerts over metrics that exist, and caches that may move."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.chart.conftest import CHART, ROOT, Helm
from tests.chart.objects import Rendered, component

PODS = """
gateway:
  envFrom: [{configMapRef: {name: shared}}]
  initContainers: [{name: first, image: busybox:1.37, command: ["true"]}]
  extraContainers: [{name: side, image: busybox:1.37}]
  dnsPolicy: None
  dnsConfig: {nameservers: [10.0.0.10]}
  hostAliases: [{ip: 10.1.1.1, hostnames: [llm.example.com]}]
  priorityClassName: high
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
  podDisruptionBudget: {maxUnavailable: 1}
"""


def test_what_pods_take(helm: Helm, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(PODS)
    rendered = helm.rendered("default", "--values", str(path))
    pod = rendered.pods()["gateway"]
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": "shared"}}]
    assert [container["name"] for container in pod["initContainers"]] == ["first"]
    assert [container["name"] for container in pod["containers"]] == ["gateway", "side"]
    assert (pod["dnsPolicy"], pod["dnsConfig"]) == ("None", {"nameservers": ["10.0.0.10"]})
    assert pod["hostAliases"][0]["hostnames"] == ["llm.example.com"]
    assert pod["priorityClassName"] == "high"
    assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == ["rack"]
    assert rendered.named("PodDisruptionBudget")["gateway"]["spec"]["maxUnavailable"] == 1
    assert "envFrom" not in rendered.pods()["retrieval"]["containers"][0]


def test_labels_of_all_and_manifests_of_one_s_own(everything: Rendered) -> None:
    extra = [one for one in everything.objects if one["metadata"]["name"] == "ragline-extra"]
    assert [one["kind"] for one in extra] == ["ConfigMap"]
    for one in everything.objects:
        if one not in extra:
            assert one["metadata"]["labels"]["team"] == "search", one["metadata"]["name"]
    for workload in everything.of("Deployment", "StatefulSet"):
        assert workload["spec"]["template"]["metadata"]["labels"]["team"] == "search"
        assert "team" not in workload["spec"]["selector"]["matchLabels"]


def test_alerts_ask_for_metrics_that_exist(everything: Rendered) -> None:
    table = (ROOT / "docs" / "observability.md").read_text()
    metrics = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(
            r"^\| `(ragline_\w+)` \|[^|]*\|[^|]*\| ([^|]+) \|", table, re.MULTILINE
        )
    }
    (rule,) = everything.of("PrometheusRule")
    (group,) = rule["spec"]["groups"]
    assert [alert["alert"] for alert in group["rules"]] == [
        alert["alert"] for alert in yaml.safe_load((CHART / "alerts.yaml").read_text())
    ]
    assert rule["metadata"]["labels"]["release"] == "prom"
    page = (ROOT / "docs" / "deploy" / "operate.md").read_text()
    for alert in group["rules"]:
        asked = re.findall(r"(ragline_\w+)\{([^}]*)\}", alert["expr"])
        assert asked, alert["alert"]
        for name, selector in asked:
            base = re.sub("_(bucket|count|sum)$", "", name)
            assert name in metrics or base in metrics, name
            wanted = set(re.findall(r"(\w+)=~?\"", selector)) - {"namespace", "pod"}
            assert wanted <= metrics.get(name, metrics.get(base, set())), (name, wanted)
            assert 'namespace="rag",pod=~"ragline-.*"' in selector
        by = set(re.findall(r"by \(([^)]*)\)", alert["expr"]))
        for label in {one.strip() for labels in by for one in labels.split(",")} - {"le"}:
            assert all(label in metrics.get(re.sub("_bucket$", "", name), {label}) for name, _ in asked), (
                label
            )
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"].keys() == {"summary", "description"}
        assert f"`{alert['alert']}`" in page, "docs/deploy/operate.md lists the alerts"


def test_a_cache_may_move_with_its_pod(rendered: Rendered) -> None:
    """Nothing that can be fetched again binds a pod to a node: a lost node would keep it."""
    for workload in rendered.of("Deployment", "StatefulSet"):
        affinity = workload["spec"]["template"]["spec"].get("affinity", {})
        assert "requiredDuringScheduling" not in str(affinity), component(workload)
