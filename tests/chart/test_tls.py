"""TLS of the six services in the chart: listeners, clients, probes, scrapes and the test pod go together."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from services.core.settings import ServiceSettings
from services.core.tls import TrustSettings
from tests.chart.conftest import CHART, Helm

ON = ("--set", "tls.enabled=true,tls.secretName=ragline-tls,serviceMonitor.enabled=true")
OWN = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
FILES = {
    "TLS_CERT_FILE": "/etc/ragline/tls/tls.crt",
    "TLS_KEY_FILE": "/etc/ragline/tls/tls.key",
    "TLS_CA_FILE": "/etc/ragline/tls/ca.crt",
}


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}


def tls_volume(pod: dict[str, Any]) -> dict[str, Any]:
    [volume] = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "tls"]
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "tls"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/ragline/tls", True)
    found: dict[str, Any] = volume
    return found


def test_our_services_speak_https_and_are_called_and_probed_so(helm: Helm) -> None:
    rendered = helm.rendered("default", *ON)
    pods = rendered.pods()
    for name in OWN:
        told = environment(pods[name])
        assert FILES.items() <= told.items()
        addresses = {key: value for key, value in told.items() if key.endswith("_URL") and ":" in value}
        addresses = {key: value for key, value in addresses.items() if value.count("/") > 1}
        assert all(value.startswith("https://") for value in addresses.values()), addresses
        volume = tls_volume(pods[name])
        assert volume["secretName"] == "ragline-tls"
        assert {item["key"] for item in volume["items"]} == {"tls.crt", "tls.key", "ca.crt"}
        container = pods[name]["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["scheme"] == "HTTPS"
        [port] = [port for port in rendered.named("Service")[name]["spec"]["ports"] if port["name"] == "http"]
        assert port["appProtocol"] == "https"
    assert len({value for name in OWN for value in environment(pods[name]).values() if "https" in value}) == 5


def test_the_names_are_those_that_the_services_read() -> None:
    read = {field.validation_alias for field in ServiceSettings.model_fields.values()}
    read |= {field.validation_alias for field in TrustSettings.model_fields.values()}
    assert FILES.keys() <= read


def test_the_test_pod_believes_the_authority_and_has_no_key(helm: Helm) -> None:
    pod = helm.rendered("default", *ON).pods()["test"]
    told = environment(pod)
    assert told["RAGLINE_URL"] == "https://ragline-gateway:8888"
    assert told["TLS_CA_FILE"] == FILES["TLS_CA_FILE"]
    assert [item["key"] for item in tls_volume(pod)["items"]] == ["ca.crt"]


def test_metrics_of_our_services_are_scraped_by_https(helm: Helm) -> None:
    monitors = {one["metadata"]["name"]: one for one in helm.rendered("default", *ON).of("ServiceMonitor")}
    [own] = monitors["ragline"]["spec"]["endpoints"]
    assert own["scheme"] == "https"
    assert own["tlsConfig"] == {
        "serverName": "ragline-gateway",
        "ca": {"secret": {"name": "ragline-tls", "key": "ca.crt"}},
    }
    [servers] = monitors["ragline-servers"]["spec"]["endpoints"]
    assert "scheme" not in servers


@pytest.mark.parametrize("values", ["xeon", "gaudi"])
def test_engines_and_other_servers_are_as_they_were(helm: Helm, values: str) -> None:
    plain, secure = helm.rendered(values), helm.rendered(values, *ON)
    names = {name for name in plain.pods() if name not in (*OWN, "test")}
    assert names
    for name in names:
        assert secure.workloads()[name] == plain.workloads()[name]
    entries = json.loads(environment(secure.pods()["generation"])["LLM_BACKENDS"])
    assert all(entry.get("endpoint", "http://").startswith("http://") for entry in entries)


def test_our_own_engine_on_gaudi_speaks_https_too(helm: Helm) -> None:
    entry = "engine=habana,modelId=m,hardware=gaudi,devices=1,cache.size=1Gi"
    values = [f"models.own.{one}" for one in entry.split(",")]
    values += ["models.own.resources.requests.memory=1Gi", "models.own.resources.limits.memory=1Gi"]
    rendered = helm.rendered("default", *ON, "--set", ",".join(values))
    entries = json.loads(environment(rendered.pods()["generation"])["LLM_BACKENDS"])
    assert [one["endpoint"] for one in entries if "endpoint" in one] == [
        "https://ragline-llm-own.rag.svc:9000"
    ]
    assert FILES.items() <= environment(rendered.pods()["llm-own"]).items()


def test_without_it_nothing_of_it_is_there(helm: Helm) -> None:
    text = helm.text("default")
    assert "tls" not in text.lower().replace("title", "")
    assert "https" not in text


def test_a_missing_secret_is_refused(helm: Helm) -> None:
    assert "tls.secretName: tls.enabled needs" in helm.refusal("--set", "tls.enabled=true")


def test_the_notes_have_a_call_that_works(helm: Helm) -> None:
    done = helm.run("install", "ragline", str(CHART), "--dry-run=client", "--set", "image.local=true", *ON)
    assert done.returncode == 0, done.stderr
    notes = (done.stdout + done.stderr).partition("NOTES:")[2]
    assert "--cacert ca.crt --connect-to ::127.0.0.1: https://ragline-gateway:8888/v1/models" in notes
    assert "http://" not in notes


def test_the_page_s_certificate_names_every_service(helm: Helm) -> None:
    """The example of cert-manager's Certificate in docs/deploy/operate.md has the names that are called."""
    page = (CHART.parents[1] / "docs" / "deploy" / "operate.md").read_text()
    shown = page.partition("kind: Certificate")[2].partition("```")[0]
    names = yaml.safe_load("kind: Certificate" + shown)["spec"]["dnsNames"]
    assert {f"ragline-{name}" for name in OWN} <= set(names)
