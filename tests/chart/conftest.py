"""The chart as the real Helm engine renders it; each set of values once for all tests."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.chart.objects import Rendered

ROOT = Path(__file__).parents[2]
CHART = ROOT / "kubernetes" / "ragline"
VALUES = {
    "default": None,
    **{path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("*-values.yaml"))},
}
KUBERNETES = "1.34.0"
"""The version that Helm is told; what 1.20 gets instead is a test of its own."""
ADMIN_KEY = "rl_" + "0" * 43
"""Given to every rendering, because the chart would make another one each time."""
GIVEN = ("--set", f"keys.adminKey={ADMIN_KEY}", "--set", "image.local=true")
"""What every rendering needs besides: that key, and where the images are."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Helm:
    """The binary, and the chart rendered with it."""

    path: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=CHART.parent
        )

    def template(self, *arguments: str, kubernetes: str = KUBERNETES) -> subprocess.CompletedProcess[str]:
        where = ("--namespace", "rag", "--kube-version", kubernetes)
        return self.run("template", "ragline", str(CHART), *where, *GIVEN, *arguments)

    @cache  # noqa: B019 - one instance for the session
    def text(self, values: str, *arguments: str, kubernetes: str = KUBERNETES) -> str:
        """The manifest of a values file by its name (`default` has none), with more arguments."""
        path = VALUES[values]
        own = () if path is None else ("--values", str(path))
        done = self.template(*own, *arguments, kubernetes=kubernetes)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cache  # noqa: B019
    def rendered(self, values: str, *arguments: str, kubernetes: str = KUBERNETES) -> Rendered:
        """The same as objects, shared by all tests: none of them may change one."""
        text = self.text(values, *arguments, kubernetes=kubernetes)
        return Rendered([each for each in yaml.load_all(text, LOADER) if each])

    def refusal(self, *arguments: str) -> str:
        """What Helm says where it refuses these values; fails where it takes them."""
        done = self.template(*arguments)
        assert done.returncode != 0, "these values should have been refused"
        return done.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    own = ROOT / "build" / "tools" / "helm"
    found = os.environ.get("HELM") or (str(own) if own.exists() else shutil.which("helm"))
    if found is None:
        if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
            pytest.fail("no Helm: run 'make build/tools/helm', or set HELM to one of your own")
        pytest.skip("no Helm on this platform: install it, or set HELM")
    return Helm(found)


@pytest.fixture(params=VALUES)
def values(request: pytest.FixtureRequest) -> str:
    """Every values file, by its name."""
    return str(request.param)


@pytest.fixture
def rendered(helm: Helm, values: str) -> Rendered:
    return helm.rendered(values)


Refuse = Callable[[str], str]


@pytest.fixture
def refuse(helm: Helm, tmp_path: Path) -> Refuse:
    """Render with a piece of YAML as the values, and give what Helm says against it."""

    def refuse(text: str) -> str:
        path = tmp_path / "values.yaml"
        path.write_text(text)
        return helm.refusal("--values", str(path))

    return refuse


FULL = """
llm: {backend: gaudi}
models:
  - {name: gaudi, engine: habana, hardware: gaudi, devices: 2, modelId: meta-llama/Llama-3.1-8B-Instruct,
     resources: {requests: {cpu: 8, memory: 40Gi}, limits: {memory: 64Gi}}, cache: {size: 40Gi}}
  - {name: server, engine: ovms, hardware: xeon, modelId: OpenVINO/DeepSeek-R1-Distill-Llama-8B-int4-ov,
     resources: {requests: {cpu: 8, memory: 20Gi}, limits: {memory: 24Gi}}, cache: {size: 20Gi}}
  - {name: gguf, engine: llamacpp, hardware: cuda, devices: 1, modelId: "someone/some-GGUF:Q4_K_M", replicas: 2,
     resources: {requests: {cpu: 4, memory: 8Gi}, limits: {memory: 12Gi}}, cache: {size: 20Gi},
     nodeSelector: {accelerator: l4}, tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}],
     env: {LLAMA_ARG_FLASH_ATTN: "on"}, extraDevices: {hugepages-2Mi: 1Gi}}
  - {name: hosted, engine: external, endpoint: "https://llm.example.com/v1", modelId: large, apiKey: model-key}
  - {name: own, engine: external, protocol: vllm, endpoint: "http://gpu-box:8000", modelId: m,
     apiKeySecret: {name: s, key: k}}
  - {name: small, engine: embedded, modelId: qwen2.5-coder-0.5b-instruct, runtime: llamacpp, maxContext: 4096}
secrets: {hfToken: hub-token, embeddingApiKey: embed-key, rerankingApiKey: rerank-key, qdrantApiKey: vector-key,
          redisPassword: queue-password}
mirror: registry.example.com/mirror
imagePullSecrets: [{name: pull}]
proxy: {http: "http://proxy:3128", https: "http://proxy:3128", noProxy: .example.com}
otlpEndpoint: http://collector.observability.svc:4318
qdrant: {enabled: true}
redis: {enabled: true}
tei: {embedding: {enabled: true, hardware: gaudi, devices: 1}, reranking: {enabled: true}}
gateway: {autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 4}, service: {type: NodePort, nodePort: 30888},
          extraVolumes: [{name: ca, configMap: {name: ca}}], extraVolumeMounts: [{name: ca, mountPath: /ca}],
          extraEnv: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}
dataprep: {autoscaling: {enabled: true, type: keda, maxReplicas: 3, triggers: [{type: cron, metadata: {start: "0 8"}}]}}
ingress: {enabled: true, className: nginx, hosts: [rag.example.com], tls: [{secretName: t, hosts: [rag.example.com]}]}
httpRoute: {enabled: true, parentRefs: [{name: public}], hostnames: [rag.example.com]}
serviceMonitor: {enabled: true}
dashboard: {enabled: true}
prometheusRule: {enabled: true, labels: {release: prom}}
commonLabels: {team: search}
extraManifests:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra", labels: {app.kubernetes.io/component: extra}}}
"""


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A values file that switches everything on, and uses every engine that no values file does."""
    path = tmp_path_factory.mktemp("chart") / "values.yaml"
    path.write_text(FULL)
    return path


@pytest.fixture
def everything(helm: Helm, full: Path) -> Rendered:
    return helm.rendered("default", "--values", str(full))
