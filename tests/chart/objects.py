"""Rendered objects, and what the policies ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
COMPONENT = "app.kubernetes.io/component"
WORKLOADS = ("Deployment", "StatefulSet", "Pod")


@dataclass(frozen=True)
class Rendered:
    objects: list[Object]

    def of(self, *kinds: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str) -> dict[str, Object]:
        """Component to object."""
        return {component(each): each for each in self.of(kind)}

    def workloads(self) -> dict[str, Object]:
        """Component to Deployment, StatefulSet or test pod."""
        return {component(each): each for each in self.of(*WORKLOADS)}

    def pods(self) -> dict[str, Object]:
        """Component to pod spec."""
        return {name: pod_spec(each) for name, each in self.workloads().items()}

    def containers(self) -> Iterator[tuple[str, Object]]:
        for name, pod in self.pods().items():
            for container in [*pod["containers"], *pod.get("initContainers", [])]:
                yield name, container

    def arrows(self) -> set[tuple[str, str, int]]:
        """(from, to, port) of every connection between components that both ends' policies allow."""
        policies = self.of("NetworkPolicy")
        ports = {name: _port(pod) for name, pod in self.pods().items()}
        out = {
            (component(policy), peer, port)
            for policy in policies
            for rule in policy["spec"].get("egress", [])
            for peer in _peers(rule.get("to", []))
            for port in [entry["port"] for entry in rule["ports"]]
        }
        served = {name: _port_name(pod) for name, pod in self.pods().items()}
        into = {
            (peer, component(policy), ports[component(policy)])
            for policy in policies
            for rule in policy["spec"].get("ingress", [])
            for peer in _peers(rule.get("from", []))
            or [name for name in ports if component(policy) == "gateway"]
            if rule["ports"] == [{"port": served[component(policy)], "protocol": "TCP"}]
        }
        return out & into


def component(item: Object) -> str:
    return str(item["metadata"]["labels"][COMPONENT])


def pod_spec(workload: Object) -> Object:
    spec = workload["spec"] if workload["kind"] == "Pod" else workload["spec"]["template"]["spec"]
    return dict(spec)


def environment(container: Object) -> dict[str, str]:
    """The plain variables of a container."""
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def _peers(peers: list[Object]) -> list[str]:
    return [peer["podSelector"]["matchLabels"][COMPONENT] for peer in peers if "podSelector" in peer]


def _port(pod: Object) -> int:
    ports = pod["containers"][0].get("ports", [{"containerPort": 0}])
    return int(ports[0]["containerPort"])


def _port_name(pod: Object) -> str:
    ports = pod["containers"][0].get("ports", [{"name": ""}])
    return str(ports[0]["name"])
