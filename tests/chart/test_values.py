"""Values that cannot be meant are refused, and the message names the key."""

from __future__ import annotations

import pytest

from tests.chart.conftest import CHART, Helm, Refuse
from tests.soak import rounds

ENGINE = """
llm: {backend: m}
models:
  - name: m
    modelId: x
    resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
    cache: {size: 1Gi}
    {fields}
"""


def engine(*fields: str) -> str:
    return ENGINE.replace("{fields}", "\n    ".join(fields))


def test_images_come_from_somewhere(helm: Helm) -> None:
    """Without a registry a pod would ask Docker's for images that nobody has published there."""
    done = helm.run("template", "ragline", str(CHART))
    assert done.returncode != 0
    assert "image.registry: empty: use a release's registry" in done.stderr
    assert "image.local=true after make images" in done.stderr
    assert (
        helm.run("template", "ragline", str(CHART), "--set", "mirror=registry.example.com/m").returncode == 0
    )


DIGEST = f"sha256:{'a' * 64}"


def test_an_image_by_digest_is_that_and_no_other(helm: Helm) -> None:
    chosen = f"image.registry=registry.example.com/team,image.local=false,image.digests.gateway={DIGEST}"
    pods = helm.rendered("default", "--set", chosen).pods()
    image = pods["gateway"]["containers"][0]["image"]
    assert image == f"registry.example.com/team/ragline-gateway:0.1.0@{DIGEST}"
    assert "@" not in pods["embedding"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("replicaCount: 2", "additional properties 'replicaCount' not allowed"),
        ("gateway: {replica: 2}", "at '/gateway': additional properties 'replica' not allowed"),
        ("gateway: {env: {RETRIEVAL_TOP_K: 40}}", "at '/gateway/env/RETRIEVAL_TOP_K'"),
        ("image: {tag: latest}", "at '/image/tag'"),
        ("llm: {backend: nobody}", 'llm.backend: "nobody" is no entry of models: choose one of large, small'),
        ("llm: {split: {huge: 10}}", "llm.split.huge: no entry of models: choose from large, small"),
        ("llm: {split: {large: 60, small: 50}}", "llm.split: the shares are 110 % together"),
        ("llm: {split: {large: 101}}", "at '/llm/split/large': maximum"),
        ("models: {small: {name: other}}", "models.small.name: the key is the name of the entry already"),
        ("models: {Big: {modelId: a}}", "at '/models': additional properties 'Big' not allowed"),
        ("models: {small: {engine: sglang}}", "at '/models/small/engine': value must be one of 'embedded'"),
        ("models: {small: {fallback: [b]}}", 'models.small.fallback: "b" is no entry'),
        ("models: {small: null, large: null}", "models: every entry is null"),
        ("models: {x: {temperature: 1}}", "models.x.modelId: engine embedded needs it"),
        (engine("engine: sglang"), "at '/models/0/engine': value must be one of 'embedded', 'vllm'"),
        (engine("engine: vllm"), "models[0] (m).hardware: engine vllm needs one of cpu, xeon, gaudi, cuda"),
        (
            engine("engine: ovms", "hardware: gaudi"),
            "models[0] (m).hardware: engine ovms needs one of cpu, xeon",
        ),
        (
            engine("engine: vllm", "hardware: gaudi"),
            "models[0] (m).devices: hardware gaudi needs the number of devices",
        ),
        (engine("engine: tgi", "hardware: cuda"), "models[0] (m).devices: hardware cuda needs"),
        (engine("engine: vllm", "hardware: xeon", "devices: 1"), "models[0] (m).devices: only hardware"),
        (
            engine("engine: embedded", "hardware: xeon"),
            "models[0] (m).hardware: engine embedded runs on none",
        ),
        (engine("engine: external"), "models[0] (m).endpoint: engine external needs the base URL"),
        (
            engine("engine: vllm", "hardware: xeon", "endpoint: http://a"),
            "models[0] (m).endpoint: only engine external",
        ),
        (engine("engine: embedded", "fallback: [b]"), 'models[0] (m).fallback: "b" is no entry'),
        (engine("engine: embedded", "fallback: [m]"), "models[0] (m).fallback: leads back: m > m"),
        (engine("engine: embedded", "protocol: vllm"), "models[0] (m).protocol: only engine external"),
        (
            engine("engine: tgi", "hardware: xeon", "reasoningParser: r"),
            "models[0] (m).reasoningParser: only engines vllm and llamacpp",
        ),
        (
            engine("engine: external", "endpoint: http://a", "apiKey: a", "apiKeySecret: {name: a, key: b}"),
            "models[0] (m).apiKey: give it or apiKeySecret",
        ),
        (
            "models: [{name: small, engine: embedded, modelId: a}, {name: small, engine: embedded, modelId: b}]",
            "models[1] (small).name: another entry has this name",
        ),
        ("models: [{name: small, engine: embedded}]", "models[0] (small).modelId: engine embedded needs it"),
        (
            "llm: {backend: m}\nmodels: [{name: m, engine: vllm, hardware: xeon, modelId: a}]",
            "models[0] (m).resources: requests.memory is needed",
        ),
        ("retrieval: {replicas: 2}", "retrieval.replicas: the embedded store has one owner"),
        ("dataprep: {replicas: 2}", "dataprep.replicas: the embedded job store has one owner"),
        (
            "dataprep: {autoscaling: {enabled: true, maxReplicas: 2}}",
            "dataprep.replicas: the embedded job store has one owner",
        ),
        ("generation: {replicas: 2}", "generation.cache.accessMode: several replicas need ReadWriteMany"),
        ("embedding: {replicas: 2}", "embedding.cache.accessMode: several replicas need ReadWriteMany"),
        ("redis: {enabled: true}", "secrets.redisPassword: redis.enabled needs a password"),
        ("qdrant: {enabled: true}", "secrets.qdrantApiKey: qdrant.enabled needs a key"),
        (
            "secrets: {existingSecret: s}\nqdrant: {enabled: true}\nretrieval: {store: 'qdrant://q:6333'}",
            "retrieval.store: qdrant.enabled decides it",
        ),
        ("retrieval: {store: 'redis://user:word@r:6379/0'}", "retrieval.store: no user or password in a URL"),
        ("tei: {embedding: {enabled: true}}", "reranking.backend: late_interaction needs token vectors"),
        (
            "tei: {reranking: {enabled: true, hardware: gaudi}}",
            "tei.reranking.devices: hardware gaudi needs the number of devices",
        ),
        ("gateway: {autoscaling: {enabled: true}}", "gateway.autoscaling.maxReplicas: needed"),
        (
            "gateway: {autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 2}}",
            "gateway.autoscaling.maxReplicas: less than minReplicas",
        ),
        (
            "gateway: {autoscaling: {enabled: true, type: keda, maxReplicas: 2}}",
            "prometheus: gateway.autoscaling.type keda",
        ),
        (
            "gateway: {terminationGracePeriodSeconds: 60}",
            "gateway.terminationGracePeriodSeconds: less than the 140 s",
        ),
        ("ingress: {enabled: true}", "ingress.hosts: ingress.enabled needs one"),
        ("httpRoute: {enabled: true}", "httpRoute.parentRefs: httpRoute.enabled needs the Gateway"),
        (
            "serviceMonitor: {enabled: true}\nnetworkPolicy: {metricsFrom: []}",
            "networkPolicy.metricsFrom: serviceMonitor.enabled needs",
        ),
    ][:: rounds(3, 1)],
)
def test_the_message_names_the_key(refuse: Refuse, values: str, said: str) -> None:
    assert said in refuse(values)
