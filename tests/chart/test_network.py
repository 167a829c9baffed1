"""Networks: what policies let out, proxies that a new model does not touch, meshes, families, authorities."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest

from services.core.proxies import ProxySettings, choose_proxy
from tests.chart.conftest import Helm
from tests.chart.objects import Object, Rendered, component, environment
from tests.soak import rounds

PROXY = "proxy: {http: 'http://proxy.corp.example:3128', https: 'http://proxy.corp.example:3128', noProxy: .corp.example}\n"


@pytest.fixture
def render(helm: Helm, tmp_path: Path) -> Any:
    def render(text: str, *arguments: str) -> Rendered:
        path = tmp_path / f"{abs(hash(text))}.yaml"
        path.write_text(text)
        return helm.rendered("default", "--values", str(path), *arguments)

    return render


def egress(rendered: Rendered, name: str) -> list[Object]:
    rules: list[Object] = rendered.named("NetworkPolicy")[name]["spec"]["egress"]
    return rules


def blocks(rendered: Rendered) -> list[Object]:
    return [
        peer["ipBlock"]
        for policy in rendered.of("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]


ADDED = """
models:
  added: {engine: vllm, hardware: xeon, modelId: Qwen/Qwen3-8B, kvCacheGiB: 8, cache: {size: 40Gi},
    resources: {requests: {cpu: 8, memory: 30Gi}, limits: {memory: 36Gi}}}
"""


def test_with_a_proxy_a_new_model_changes_the_generation_service_alone(render: Any) -> None:
    before, after = render(PROXY), render(PROXY + ADDED)
    old = {(one["kind"], one["metadata"]["name"]): one for one in before.objects}
    changed = {
        (one["kind"], component(one))
        for one in after.objects
        if old.get((one["kind"], one["metadata"]["name"])) not in (None, one)
    }
    assert changed == {("Deployment", "generation"), ("NetworkPolicy", "generation")}
    added = {component(one) for one in after.objects if (one["kind"], one["metadata"]["name"]) not in old}
    assert added == {"llm-added"}


def test_no_address_inside_is_reached_by_the_proxy(render: Any) -> None:
    """By our own rule, for every URL that a service is given; and what is outside is."""
    rendered = render(PROXY + ADDED)
    for name in ("gateway", "embedding", "retrieval", "reranking", "generation", "dataprep"):
        variables = environment(rendered.pods()[name]["containers"][0])
        settings = ProxySettings(
            http_proxy=variables["HTTP_PROXY"],
            https_proxy=variables["HTTPS_PROXY"],
            no_proxy=variables["NO_PROXY"],
        )
        urls = re.findall(
            r"https?://[a-z0-9.:-]+", " ".join(v for k, v in variables.items() if "PROXY" not in k)
        )
        assert {choose_proxy(url, settings) for url in urls} <= {None}, name
        assert choose_proxy("https://llm.example.com/v1", settings) == variables["HTTPS_PROXY"]
    assert "added" not in environment(rendered.pods()["gateway"]["containers"][0])["NO_PROXY"]


def test_the_way_to_the_proxy_is_open_to_those_who_go_out(render: Any) -> None:
    rendered = render(PROXY + ADDED)
    for name in ("generation", "embedding", "llm-added"):
        assert 3128 in [port["port"] for rule in egress(rendered, name) for port in rule["ports"]], name
    assert 3128 not in [port["port"] for rule in egress(rendered, "retrieval") for port in rule["ports"]]


def test_names_are_asked_at_both_ports(rendered: Rendered) -> None:
    for policy in rendered.of("NetworkPolicy"):
        if component(policy) != "release":
            ports = {(port["port"], port["protocol"]) for port in policy["spec"]["egress"][0]["ports"]}
            assert ports == {(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}


NETWORKS: list[tuple[dict[str, str], set[str]]] = [
    ({}, {"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"}),
    ({"cidr": "10.0.0.0/8"}, set()),
    ({"cidr": "169.0.0.0/8"}, {"169.254.0.0/16"}),
    ({"cidr": "fd00::/8"}, {"fd00:ec2::254/128"}),
    ({"cidrs[0]": "128.0.0.0/1"}, {"169.254.0.0/16"}),
    ({"cidr": "fd00:ec3::/32"}, set()),
    (
        {"cidr": "0.0.0.0/0", "except[0]": "10.0.0.0/7", "except[1]": "192.168.4.0/22"},
        {"10.0.0.0/7", "192.168.4.0/22"},
    ),
]


@pytest.mark.parametrize(("networks", "excepted"), NETWORKS[: rounds(3, len(NETWORKS))])
def test_an_exception_is_a_part_of_its_network(
    helm: Helm, networks: dict[str, str], excepted: set[str]
) -> None:
    sets = [
        part for key, value in networks.items() for part in ("--set", f"networkPolicy.outside.{key}={value}")
    ]
    found = blocks(helm.rendered("external-llm", *sets))
    assert found
    assert {network for block in found for network in block.get("except", [])} == excepted
    for block in found:
        network = ipaddress.ip_network(block["cidr"])
        for inner in map(ipaddress.ip_network, block.get("except", [])):
            assert inner.version == network.version
            assert inner.prefixlen > network.prefixlen
            assert inner.network_address in network


SERVERS = """
models:
  near: {engine: external, endpoint: "http://vllm.models.svc:80", targetPort: 8000, modelId: m}
  far: {engine: external, endpoint: "https://llm.example.com/v1", modelId: m}
  chosen: {engine: external, endpoint: "http://gpu.example.com:8000", modelId: m,
    egress: [{ipBlock: {cidr: 10.9.0.0/16}}]}
retrieval: {store: "qdrant://qdrant.data.svc.cluster.local:6333"}
otlpEndpoint: http://collector.observability.svc:4318
networkPolicy:
  extraEgress:
    - components: [gateway]
      to: [{podSelector: {matchLabels: {app: login}}}]
      ports: [{port: 8443, protocol: TCP}]
"""


def namespace(name: str) -> list[Object]:
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]


def test_a_server_in_the_cluster_is_reached_in_its_namespace_at_its_pods_port(render: Any) -> None:
    rendered = render(SERVERS)
    rules = egress(rendered, "generation")
    assert {"ports": [{"port": 8000, "protocol": "TCP"}], "to": namespace("models")} in rules
    assert {
        "ports": [{"port": 8000, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}],
    } in rules
    assert {"ports": [{"port": 4318, "protocol": "TCP"}], "to": namespace("observability")} in rules
    assert {rule["ports"][0]["port"] for rule in rules if "0.0.0.0/0" in str(rule)} == {443}
    assert {"ports": [{"port": 6333, "protocol": "TCP"}], "to": namespace("data")} in egress(
        rendered, "retrieval"
    )
    login = {
        "to": [{"podSelector": {"matchLabels": {"app": "login"}}}],
        "ports": [{"port": 8443, "protocol": "TCP"}],
    }
    having = {
        component(policy)
        for policy in rendered.of("NetworkPolicy")
        if login in policy["spec"].get("egress", [])
    }
    assert having == {"gateway"}


def test_between_components_policies_name_ports_of_pods(rendered: Rendered) -> None:
    """Policies see a pod's port: each that is opened to a component is one of its container's."""
    pods = rendered.pods()
    for caller, callee, port in rendered.arrows():
        assert port in {entry["containerPort"] for entry in pods[callee]["containers"][0]["ports"]}, (
            caller,
            callee,
        )


def test_a_mesh_reads_each_port_by_its_protocol_and_reaches_its_control_plane(helm: Helm) -> None:
    rendered = helm.rendered("hpa", "--set", "networkPolicy.mesh=istio")
    (port,) = rendered.named("Service")["redis"]["spec"]["ports"]
    assert (port["name"], port["appProtocol"]) == ("redis", "tcp")
    for service in rendered.of("Service"):
        for port in service["spec"]["ports"]:
            assert port["name"] in {"http", "redis"} or port["appProtocol"] == "http", service["metadata"][
                "name"
            ]
    for policy in rendered.of("NetworkPolicy"):
        if component(policy) != "release":
            assert {
                "ports": [{"port": 15012, "protocol": "TCP"}],
                "to": namespace("istio-system"),
            } in policy["spec"]["egress"]
    test = rendered.named("Pod")["test"]["metadata"]
    assert test["labels"]["sidecar.istio.io/inject"] == "false"
    assert test["annotations"]["linkerd.io/inject"] == "disabled"


def test_ipv6_first_and_both(render: Any) -> None:
    rendered = render("listen: '::'\nipFamilyPolicy: PreferDualStack\nipFamilies: [IPv6, IPv4]\n" + ADDED)
    for service in rendered.of("Service"):
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        assert service["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
    assert environment(rendered.pods()["gateway"]["containers"][0])["HOST"] == "::"
    assert "--host=::" in rendered.pods()["llm-added"]["containers"][0]["args"]


def test_authorities_of_one_s_own_are_believed_by_every_client(render: Any) -> None:
    rendered = render(
        "trustBundle: {configMap: company-ca}\nqdrant: {enabled: true}\nsecrets: {qdrantApiKey: k}\n" + ADDED
    )
    for name, pod in rendered.pods().items():
        if name == "test":
            continue
        container = pod["containers"][0]
        variables = environment(container)
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for variable in (
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "PIP_CERT",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        ):
            assert variables[variable] == f"{mounted['trust']}/ca-bundle.crt", name
        (volume,) = (one for one in pod["volumes"] if one["name"] == "trust")
        assert volume["configMap"]["name"] == "company-ca"
        assert volume["configMap"]["items"] == [{"key": "ca-bundle.crt", "path": "ca-bundle.crt"}]


def test_links_go_by_the_proxy_only_where_it_is_said(render: Any) -> None:
    said = render(PROXY.replace("}", ", links: true}"))
    assert (
        environment(said.pods()["dataprep"]["containers"][0])["DATAPREP_FETCH_PROXY"]
        == "http://proxy.corp.example:3128"
    )
    assert "DATAPREP_FETCH_PROXY" not in environment(render(PROXY).pods()["dataprep"]["containers"][0])
