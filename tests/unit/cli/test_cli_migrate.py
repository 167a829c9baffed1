"""`ragline migrate opea`: what it writes is what the chart and the settings take, and it says what is left."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.commands.migrate import command
from services.cli.migration.environment import convert_variables, read_variables
from services.cli.migration.values import convert_values, merge_values
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.settings import Settings as GatewaySettings
from services.generation.configuration import read_entries
from services.generation.settings import Settings as GenerationSettings
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.settings import Settings as RetrievalSettings

VALUES = {
    "empty": "{}",
    "gaudi": """
tei: {accelDevice: gaudi, resources: {limits: {habana.ai/gaudi: 1}}}
vllm:
  enabled: true
  accelDevice: gaudi
  shmSize: 1Gi
  LLM_MODEL_ID: meta-llama/Llama-3.1-8B-Instruct
  resources: {limits: {habana.ai/gaudi: 2}}
  startupProbe: {failureThreshold: 360}
  extraCmdArgs: ["--tensor-parallel-size", "1", "--block-size", "128", "--max-num-seqs=256"]
global: {HUGGINGFACEHUB_API_TOKEN: hub-token, http_proxy: "http://proxy:3128", monitoring: true, modelUsePVC: models}
""",
    "tgi": """
vllm: {enabled: false}
tgi:
  enabled: true
  MAX_INPUT_LENGTH: "1024"
  MAX_TOTAL_TOKENS: "2048"
  CUDA_GRAPHS: ""
  resources: {limits: {nvidia.com/gpu: 1, cpu: 8, memory: 70Gi}, requests: {cpu: 6, memory: 65Gi}}
teirerank: {enabled: false}
qdrant: {enabled: true}
redis-vector-db: {enabled: false}
nginx: {service: {type: NodePort}}
global: {HUGGINGFACEHUB_API_TOKEN: insert-your-huggingface-token-here}
""",
    "external": """
externalLLM: {enabled: true, LLM_SERVER_HOST_IP: "http://llm.models.svc", LLM_MODEL: large, OPENAI_API_KEY: key}
vllm: {enabled: false}
tgi: {enabled: false}
llm-uservice: {enabled: false}
""",
    "rocm": """
vllm: {enabled: true, accelDevice: rocm}
guardrails-usvc: {enabled: true}
autoscaling: {enabled: true}
tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
""",
}


def test_engines_hardware_and_flags() -> None:
    done = convert_values(yaml.safe_load(VALUES["gaudi"]))
    (model,) = done.values["models"]  # type: ignore[misc]
    assert {name: model[name] for name in ("engine", "hardware", "devices", "concurrency")} == {  # type: ignore[index]
        "engine": "vllm",
        "hardware": "gaudi",
        "devices": 2,
        "concurrency": 256,
    }
    assert model["extraArgs"] == ["--tensor-parallel-size", "1", "--block-size", "128"]  # type: ignore[index]
    assert model["cache"]["existingClaim"] == "models"  # type: ignore[index]
    assert done.values["secrets"] == {"hfToken": "hub-token"}
    assert done.values["proxy"] == {"http": "http://proxy:3128"}
    assert any(note.startswith("vllm.startupProbe.failureThreshold: no counterpart") for note in done.notes)
    assert any("guessed" in note for note in done.notes)
    assert any(note.startswith("vllm.shmSize 1Gi") for note in done.notes)
    tgi = convert_values(yaml.safe_load(VALUES["tgi"])).values
    assert tgi["models"][0]["maxInput"] == 1024  # type: ignore[index]
    assert tgi["models"][0]["resources"]["limits"] == {"cpu": 8, "memory": "70Gi"}  # type: ignore[index]
    assert tgi["reranking"] == {"backend": "none"}
    assert "hfToken" not in tgi["secrets"]  # type: ignore[operator]


def test_what_has_no_counterpart_is_listed() -> None:
    notes = convert_values(yaml.safe_load(VALUES["rocm"])).notes
    for start in ("vllm.accelDevice rocm", "models:", "guardrails-usvc:", "autoscaling:", "redis-vector-db:"):
        assert any(note.startswith(start) for note in notes), start
    assert convert_values({"tei": {"new": {"key": 1}}}).notes[-1] == "tei.new.key: no counterpart"


def test_files_are_merged_as_helm_does() -> None:
    first, second = {"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}
    assert merge_values([first, second]) == {"a": {"b": 1, "c": [2]}, "d": {"e": 1}}  # type: ignore[list-item]


SET_ENV = """#!/usr/bin/env bash
pushd "../../" > /dev/null
export host_ip="10.0.0.5"
export HF_TOKEN=${HF_TOKEN}
export HUGGINGFACEHUB_API_TOKEN='hub token'   # a comment
export EMBEDDING_MODEL_ID="BAAI/bge-base-en-v1.5"
export TEI_EMBEDDING_ENDPOINT="http://${host_ip}:6006"
export RERANK_MODEL_ID="BAAI/bge-reranker-base"
export TEI_RERANKING_ENDPOINT="http://${host_ip}:8808"
export LLM_MODEL_ID="meta-llama/Meta-Llama-3-8B-Instruct"
export LLM_ENDPOINT_PORT=8010
export LLM_ENDPOINT="http://${host_ip}:${LLM_ENDPOINT_PORT}"
export INDEX_NAME="rag-redis"
export LOGFLAG="true"
export JAEGER_IP=$(ip route get 8.8.8.8 | grep -oP 'src \\K[^ ]+')
export TELEMETRY_ENDPOINT=http://$JAEGER_IP:4318/v1/traces
export REDIS_URL="redis://:secret@${host_ip}:6379"
export CHATQNA_BACKEND_PORT=8899
export http_proxy=""
export no_proxy="${no_proxy:-localhost}"
"""


def test_settings_take_the_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, written = tmp_path / "set_env.sh", tmp_path / "ragline.env"
    theirs.write_text(SET_ENV)
    done = CliRunner().invoke(command, ["opea", str(theirs), "--out", str(written)])
    assert done.exit_code == 0, done.output
    for line in written.read_text().splitlines():
        if not line.startswith("#"):
            name, value = shlex.split(line)[0].split("=", 1)
            monkeypatch.setenv(name, value)
    assert GatewaySettings.load().port == 8899
    assert EmbeddingSettings.load().backend == "tei"
    assert RerankingSettings.load().backend == "tei"
    assert RetrievalSettings.load().vector_url == "redis://10.0.0.5:6379"
    settings = GenerationSettings.load()
    assert (settings.engine, settings.endpoint) == ("vllm", "http://10.0.0.5:8010")
    assert settings.log_level == "debug"
    assert read_entries(settings, ["vllm"]).default.model_id == "meta-llama/Meta-Llama-3-8B-Instruct"
    text = written.read_text()
    assert "HF_TOKEN='hub token'" in text
    assert "secret" not in text
    assert "OTEL_EXPORTER" not in text
    for note in (
        "INDEX_NAME: the collection",
        "TELEMETRY_ENDPOINT: needs a value of JAEGER_IP",
        "REDIS_URL: its password",
    ):
        assert note in done.output
    assert "not run: pushd" in done.output


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "LLM_SERVER_HOST_IP=vllm\nLLM_SERVER_PORT=9009",
            {"LLM_ENDPOINT": "http://vllm:9009", "LLM_ENGINE": "vllm"},
        ),
        (
            "OLLAMA_HOST=box\nOLLAMA_MODEL=llama3.2",
            {"LLM_ENDPOINT": "http://box:11434", "LLM_ENGINE": "ollama"},
        ),
        ("LLM_ENDPOINT=http://a\nLLM_COMPONENT_NAME=OpeaTextGenTGI", {"LLM_ENGINE": "tgi"}),
        ("QDRANT_HOST=q", {"VECTOR_URL": "qdrant://q:6333"}),
        ("CHATQNA_TYPE=CHATQNA_NO_RERANK", {"RERANKING_BACKEND": "none"}),
        (
            "SAFETY_GUARD_ENDPOINT=http://guard:8088\nSAFETY_GUARD_MODEL_ID=m",
            {"GUARD_BACKEND": "openai", "GUARD_URL": "http://guard:8088", "GUARD_MODEL_ID": "m"},
        ),
        ("EMBEDDING_SERVER_HOST_IP=tei", {"EMBEDDING_URL": "http://tei:80"}),
        ("LLM_MODEL_ID=m", {}),
    ],
)
def test_single_variables(text: str, wanted: dict[str, str]) -> None:
    values = convert_variables(read_variables(text)).values
    assert wanted.items() <= values.items()
    assert wanted or not values


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    values, variables, broken = tmp_path / "a.yaml", tmp_path / ".env", tmp_path / "b.yaml"
    values.write_text("{}")
    variables.write_text("A=1")
    broken.write_text("- a\n- b")
    for arguments, word in (
        ([values, variables], "not both"),
        ([broken], "no values"),
        ([tmp_path / "missing.yaml"], "cannot be read"),
        ([values, "--out", variables], "is there already"),
    ):
        done = CliRunner().invoke(
            command,
            ["opea", *map(str, arguments), *([] if "--out" in arguments else ["--out", str(tmp_path / "x")])],
        )
        assert done.exit_code != 0
        assert word in str(done.exception)
