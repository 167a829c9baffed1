"""What every rendered object has to hold, whatever the values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from services.core.backends import names
from services.gateway.settings import Settings as GatewaySettings
from services.generation.backend import PACKAGE
from services.generation.configuration import read_entries
from services.generation.settings import EntrySettings
from tests.chart.conftest import ADMIN_KEY, ROOT, VALUES, Helm
from tests.chart.objects import COMPONENT, Object, Rendered, component, environment, pod_spec

SERVICES = ("gateway", "embedding", "retrieval", "reranking", "generation", "dataprep")
SETTINGS = (
    (ROOT / "docs" / "settings.md").read_text().split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
)
NOT_RAGLINES = {"HOME", "HF_HOME"}
"""Variables of the services' containers that are no settings."""


def test_every_container_is_locked_down(rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, f"{name}: links are variables like EMBEDDING_PORT"
    for name, container in rendered.containers():
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert "/tmp" in mounts, name  # noqa: S108 - a mount


def test_every_server_has_probes_and_time_to_stop(rendered: Rendered) -> None:
    for name, workload in rendered.workloads().items():
        if workload["kind"] == "Pod":
            continue
        pod = pod_spec(workload)
        container = pod["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert probe in container, f"{name}: {probe}"
        startup = container["startupProbe"]
        assert startup["failureThreshold"] * startup["periodSeconds"] >= 600, (
            f"{name} may have to fetch a model"
        )
        assert container["livenessProbe"].get("httpGet", {}).get("path") != "/health/ready", (
            f"{name}: a dependency that is down is no reason to restart"
        )
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        grace = pod["terminationGracePeriodSeconds"]
        variables = environment(container)
        if name in SERVICES:
            assert float(variables["SHUTDOWN_SECONDS"]) > float(variables["DEADLINE_SECONDS"]), name
            assert grace > pause + float(variables["SHUTDOWN_SECONDS"]), name
        longest = environment(rendered.pods()["gateway"]["containers"][0])["DEADLINE_SECONDS"]
        assert grace > pause + float(longest), f"{name} is killed in the middle of a stream"


def test_every_container_has_resources(rendered: Rendered) -> None:
    for name, container in rendered.containers():
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert "memory" in resources["limits"], name


def test_every_image_is_pinned(rendered: Rendered) -> None:
    for name, container in rendered.containers():
        tag = container["image"].rsplit("/", 1)[-1].partition(":")[2]
        assert tag, f"{name}: {container['image']}"
        assert "latest" not in tag, f"{name}: {container['image']}"


def test_no_secret_is_outside_a_secret(everything: Rendered) -> None:
    secrets = {"hub-token", "embed-key", "rerank-key", "vector-key", "queue-password", "model-key"}
    outside = json.dumps([each for each in everything.objects if each["kind"] != "Secret"])
    for value in (*secrets, ADMIN_KEY):
        assert value not in outside
    sizes = {secret["metadata"]["name"]: len(secret["data"]) for secret in everything.of("Secret")}
    assert sorted(sizes.values()) == [2, len(secrets)]
    assert [size for name, size in sizes.items() if name.endswith("-keys")] == [2]


def test_what_lasts_is_on_a_claim(rendered: Rendered) -> None:
    """The embedded stores, Qdrant and Redis: a StatefulSet with a claim, and one pod of it."""
    pods = rendered.pods()
    stores = {"qdrant", "redis"} & set(pods)
    if environment(pods["retrieval"]["containers"][0])["VECTOR_URL"].startswith("edge:"):
        stores.add("retrieval")
    if environment(pods["dataprep"]["containers"][0])["JOBS_URL"].startswith("sqlite:"):
        stores.add("dataprep")
    assert stores
    for name in stores:
        workload = rendered.workloads()[name]
        assert workload["kind"] == "StatefulSet", name
        assert workload["spec"]["replicas"] == 1, name
        (claim,) = workload["spec"]["volumeClaimTemplates"]
        assert claim["metadata"]["name"] == "state"
        assert not [v for v in pods[name]["volumes"] if v["name"] == "state"], (
            f"{name}: its data is elsewhere"
        )
        mounts = {mount["name"]: mount["mountPath"] for mount in pods[name]["containers"][0]["volumeMounts"]}
        home = environment(pods[name]["containers"][0]).get("RAGLINE_HOME", "/data")
        assert mounts["state"] == home, name


def test_budgets_autoscalers_and_replicas(rendered: Rendered) -> None:
    budgets = set(rendered.named("PodDisruptionBudget"))
    scalers = {**rendered.named("HorizontalPodAutoscaler"), **rendered.named("ScaledObject")}
    for name, workload in rendered.workloads().items():
        if workload["kind"] == "Pod":
            continue
        spec = workload["spec"]
        assert ("replicas" in spec) != (name in scalers), f"{name}: replicas and an autoscaler fight"
        several = name in scalers or spec["replicas"] > 1
        assert (name in budgets) == several, name
        spread = pod_spec(workload).get("topologySpreadConstraints", [])
        assert bool(spread) == several, name
        if name in scalers:
            target = scalers[name]["spec"]["scaleTargetRef"]
            assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])


def test_selectors_find_exactly_their_pods(rendered: Rendered) -> None:
    labels = {
        name: (each["metadata"] if each["kind"] == "Pod" else each["spec"]["template"]["metadata"])["labels"]
        for name, each in rendered.workloads().items()
    }
    for item in rendered.of("Service", "PodDisruptionBudget"):
        selector = item["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert [name for name in labels if wanted.items() <= labels[name].items()] == [component(item)]
    ports = {component(each): each["spec"]["ports"] for each in rendered.of("Service")}
    for name, container in rendered.containers():
        if name != "test":
            assert container["ports"] == [
                {"name": port["name"], "containerPort": port["port"], "protocol": "TCP"}
                for port in ports[name]
            ]


def test_the_variables_are_settings_of_the_service(rendered: Rendered) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|[^|]*\| ([^|]+) \|", SETTINGS, re.MULTILINE)
    readers = {variable: {name.split(".")[0] for name in where.split(", ")} for variable, where in rows}
    for name, pod in rendered.pods().items():
        if name in SERVICES:
            for variable in environment(pod["containers"][0]):
                if variable not in NOT_RAGLINES:
                    assert readers.get(variable, set()) & {name, "every service", "core"}, (
                        f"{name}: {variable}"
                    )


def urls_read(service: str) -> set[str]:
    """The services that this one calls, by the settings it reads."""
    rows = re.findall(r"^\| `(\w+)_URL` \|[^|]*\| ([^|]+) \|", SETTINGS, re.MULTILINE)
    return {
        variable.lower()
        for variable, where in rows
        if variable.lower() in SERVICES and service in {name.split(".")[0] for name in where.split(", ")}
    }


def test_the_arrows_are_those_of_the_code_and_of_the_page(rendered: Rendered) -> None:
    """Between the six services exactly the calls that their settings name; the page has the same ones."""
    arrows = {(caller, callee) for caller, callee, _ in rendered.arrows()}
    tei = {name for name in rendered.pods() if name.startswith("tei-")}
    expected = {(caller, callee) for caller in SERVICES for callee in urls_read(caller)}
    if "tei-reranking" in tei:
        expected -= {("reranking", "embedding"), ("reranking", "retrieval")}
    assert {pair for pair in arrows if set(pair) <= set(SERVICES)} == expected
    page = (ROOT / "docs" / "deploy" / "install.md").read_text()
    told = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|", page, re.MULTILINE)
    engine = re.compile(r"^llm-.*")
    assert {(caller, engine.sub("llm-", callee)) for caller, callee in arrows} <= set(told)


def test_every_arrow_of_the_page_is_drawn_by_some_values(helm: Helm) -> None:
    page = (ROOT / "docs" / "deploy" / "install.md").read_text()
    told = set(re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|", page, re.MULTILINE))
    drawn = {
        (caller, re.sub(r"^llm-.*", "llm-", callee))
        for values in VALUES
        for caller, callee, _ in helm.rendered(values).arrows()
    }
    assert told == drawn


def test_nothing_else_may_connect(rendered: Rendered) -> None:
    denial = next(p for p in rendered.of("NetworkPolicy") if component(p) == "release")
    assert denial["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in denial["spec"]
    assert "egress" not in denial["spec"]
    assert COMPONENT not in denial["spec"]["podSelector"]["matchLabels"]
    for policy in rendered.of("NetworkPolicy"):
        if component(policy) in {"release", "gateway"}:
            continue
        for rule in policy["spec"].get("ingress", []):
            assert rule.get("from"), f"{component(policy)} is open to everyone"


@pytest.mark.parametrize("values", ["cpu", "xeon", "gaudi", "gaudi-tgi", "external-llm"])
def test_a_swap_rolls_the_generation_service_alone(helm: Helm, values: str) -> None:
    before = helm.rendered(values)
    listed = environment(before.pods()["generation"]["containers"][0])
    other = next(
        entry["name"]
        for entry in json.loads(listed["LLM_BACKENDS"])
        if entry["name"] != listed["LLM_BACKEND"]
    )
    after = helm.rendered(values, "--set", f"llm.backend={other}")
    changed = [
        (one["kind"], component(one))
        for one, two in zip(before.objects, after.objects, strict=True)
        if one != two
    ]
    assert changed == [("Deployment", "generation")]


def test_a_changed_secret_rolls_its_readers_alone(helm: Helm, everything: Rendered, full: Path) -> None:
    after = helm.rendered("default", "--values", str(full), "--set", "secrets.qdrantApiKey=another")
    before, now = everything.workloads(), after.workloads()
    assert {name for name in before if before[name] != now[name]} == {"qdrant", "retrieval"}


def claims(rendered: Rendered) -> list[Object]:
    templates = [each["spec"].get("volumeClaimTemplates", []) for each in rendered.of("StatefulSet")]
    return [*rendered.of("PersistentVolumeClaim"), *(claim for some in templates for claim in some)]


def test_every_claim_has_a_size(rendered: Rendered) -> None:
    assert claims(rendered)
    for claim in claims(rendered):
        assert claim["spec"]["resources"]["requests"]["storage"]


def test_what_the_generation_service_is_told_is_what_it_reads(helm: Helm, values: str) -> None:
    """The entries as the service itself parses them, each engine at the address of its Service."""

    rendered = helm.rendered(values)
    told = environment(rendered.pods()["generation"]["containers"][0])
    entries = read_entries(
        EntrySettings(backend=told["LLM_BACKEND"], backends=told["LLM_BACKENDS"]), names(PACKAGE)
    )
    addresses = {
        f"http://{each['metadata']['name']}.rag.svc:{each['spec']['ports'][0]['port']}"
        for each in rendered.of("Service")
        if component(each).startswith("llm-")
    }
    assert {
        re.sub(r"(:\d+).*", r"\1", entry.endpoint)
        for entry in entries.by_name.values()
        if "ragline-llm-" in entry.endpoint
    } == addresses


ENTRY = """
llm: {backend: far}
models:
  - name: far
    engine: external
    endpoint: http://models.example:8000
    modelId: a/b
    thinkTags: ["<mm:think>", "</mm:think>"]
    lookAhead: 0
    systemRole: false
    alternatingRoles: true
    request: {drop: [stream_options], rename: {max_tokens: max_completion_tokens}, add: {top_k: 1}}
    firstTokenSeconds: 20
    betweenTokensSeconds: 7.5
"""


def test_how_a_server_wants_to_be_asked_is_told(helm: Helm, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(ENTRY)
    told = environment(helm.rendered("default", "--values", str(path)).pods()["generation"]["containers"][0])
    entry = read_entries(EntrySettings(backend="far", backends=told["LLM_BACKENDS"]), names(PACKAGE)).default
    assert entry.think_tags == ("<mm:think>", "</mm:think>")
    assert entry.look_ahead == 0
    assert (entry.system_role, entry.alternating_roles) == (False, True)
    assert entry.request.rename == {"max_tokens": "max_completion_tokens"}
    assert (entry.request.drop, entry.request.add) == (("stream_options",), {"top_k": 1})
    assert (entry.first_token_seconds, entry.between_tokens_seconds) == (20, 7.5)


def test_a_split_rolls_the_gateway_alone(helm: Helm) -> None:
    before, after = helm.rendered("default"), helm.rendered("default", "--set", "llm.split.large=10")
    changed = {component(new) for old, new in zip(before.objects, after.objects, strict=True) if old != new}
    assert changed == {"gateway"}
    told = environment(after.pods()["gateway"]["containers"][0])
    assert GatewaySettings(split=told["LLM_SPLIT"], split_url=told["SPLIT_URL"]).split == "large=10"
    assert told["SPLIT_URL"] == "off", "no place that survives the pod, so no live split that is lost unseen"
    shared = environment(helm.rendered("gaudi").pods()["gateway"]["containers"][0])
    assert shared["SPLIT_URL"] == "redis://ragline-redis:6379/1"


def test_one_value_adds_an_entry_and_null_takes_one_out(helm: Helm) -> None:
    added = ("--set", "models.reasoning.modelId=deepseek-ai/DeepSeek-R1-Distill-Llama-8B")
    pod = helm.rendered("default", *added, "--set", "models.large=null").pods()["generation"]
    assert json.loads(environment(pod["containers"][0])["LLM_BACKENDS"]) == [
        {"name": "reasoning", "engine": "auto", "model_id": "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"},
        {"name": "small", "engine": "auto", "model_id": "qwen2.5-coder-0.5b-instruct"},
    ]


def test_metrics_and_docs_are_not_opened_with_the_gateway(rendered: Rendered) -> None:
    for item in rendered.of("Ingress", "HTTPRoute"):
        assert "admin" not in str(item["spec"])
        assert "9464" not in str(item["spec"])
    for name, container in rendered.containers():
        if name != "test" and any(port["name"] == "admin" for port in container["ports"]):
            assert {"name": "ADMIN_PORT", "value": "9464"} in container["env"]
    for item in rendered.of("ServiceMonitor"):
        wanted = item["spec"]["selector"]["matchLabels"]["ragline/metrics"]
        assert [endpoint["port"] for endpoint in item["spec"]["endpoints"]] == [wanted]
    for item in rendered.of("Service"):
        names = {port["name"] for port in item["spec"]["ports"]}
        assert (
            item["metadata"]["labels"].get("ragline/metrics", "redis" if "redis" in names else "http")
            in names
        )
        assert item["spec"]["type"] == "ClusterIP" or "admin" not in names


def test_the_gateway_knows_the_names_by_which_it_is_published(helm: Helm) -> None:
    hosts = "ingress.hosts={rag.example.org,*.b.example.org},gateway.hosts={c.example.org}"
    rendered = helm.rendered("default", "--set", f"ingress.enabled=true,{hosts}")
    (container,) = (container for name, container in rendered.containers() if name == "gateway")
    (known,) = (item["value"] for item in container["env"] if item["name"] == "GATEWAY_HOSTS")
    assert known == "ragline-gateway.rag,rag.example.org,.b.example.org,c.example.org"


def test_engines_on_a_xeon_have_cores_of_their_own(helm: Helm) -> None:
    """Guaranteed pods with whole CPUs are what the kubelet gives the cores of one socket to."""
    pods = helm.rendered("xeon").pods()
    engines = {name: pod for name, pod in pods.items() if name.startswith("llm-")}
    assert len(engines) == 2
    for name, pod in engines.items():
        (container,) = pod["containers"]
        resources = container["resources"]
        assert resources["requests"] == resources["limits"], name
        assert float(resources["limits"]["cpu"]).is_integer(), name
        variables = environment(container)
        assert variables["VLLM_CPU_OMP_THREADS_BIND"] == "auto"
        assert variables["VLLM_CPU_KVCACHE_SPACE"] == "8"
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_NICE"]}


def test_what_pods_on_gaudi_are_given(helm: Helm) -> None:
    one = helm.rendered("gaudi")
    two = helm.rendered(
        "gaudi", "--set", "models.instruct.devices=2,gaudi.runtimeClassName=habana,gaudi.recipeCacheMiB=0"
    )
    for rendered, several in ((one, False), (two, True)):
        pod = rendered.pods()["llm-instruct"]
        variables = environment(pod["containers"][0])
        assert variables["HABANA_LOGS"].startswith("/tmp/")  # noqa: S108 - a path in the pod
        assert variables["OMPI_MCA_btl_vader_single_copy_mechanism"] == "none"
        assert variables.get("PT_HPU_ENABLE_LAZY_COLLECTIVES") == ("true" if several else None)
        assert ("PT_HPU_RECIPE_CACHE_CONFIG" in variables) is not several
        assert pod.get("runtimeClassName") == ("habana" if several else None)
        assert "runtimeClassName" not in rendered.pods()["gateway"]
    path = environment(one.pods()["llm-instruct"]["containers"][0])["PT_HPU_RECIPE_CACHE_CONFIG"]
    mounts = {mount["mountPath"] for mount in one.pods()["llm-instruct"]["containers"][0]["volumeMounts"]}
    assert path == "/cache/hpu-recipes,false,16384"
    assert "/cache" in mounts
