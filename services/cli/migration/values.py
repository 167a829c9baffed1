"""Values of OPEA's `chatqna` chart as values of Ragline's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from services.core.aliases import join_address
from services.core.wire.features import JsonObject

MODEL = "meta-llama/Meta-Llama-3-8B-Instruct"
DEFAULTS: JsonObject = {
    "vllm": {"enabled": True, "LLM_MODEL_ID": MODEL},
    "tgi": {"enabled": False, "LLM_MODEL_ID": MODEL},
    "tei": {"EMBEDDING_MODEL_ID": "BAAI/bge-base-en-v1.5"},
    "teirerank": {"enabled": True, "RERANK_MODEL_ID": "BAAI/bge-reranker-base"},
    "redis-vector-db": {"enabled": True},
}
"""What OPEA's chart has by itself, of what Ragline's chart must be told."""

GUESSED: JsonObject = {"requests": {"cpu": "8", "memory": "40Gi"}, "limits": {"memory": "64Gi"}}
"""What an engine with a model of 8 billion parameters asks for: OPEA's chart asks for nothing by itself."""

CACHE = "60Gi"
DEVICES = {"habana.ai/gaudi": "gaudi", "nvidia.com/gpu": "cuda"}
FLAGS = {"--max-model-len": "maxContext", "--max-num-seqs": "concurrency"}
PLACEHOLDERS = ("insert-your-", "your-")

NOWHERE: Mapping[str, str] = {
    "redis-vector-db": "no Redis with RediSearch is deployed: the passages are in the embedded store; set "
    "qdrant.enabled, or retrieval.store to a Redis of your own",
    "milvus": "no such store: the passages are in the embedded one",
    "data-prep": "the collection is a request's index_name; docs/settings.md has the service's settings",
    "retriever-usvc": "the collection is a request's index_name; docs/settings.md has the service's settings",
    "autoscaling": "each component has an autoscaling of its own: README.md of the chart",
    "image": "Ragline's own images: image.registry and image.tag",
    "chatqna-ui": "the gateway has a page of its own, at /",
    "nginx": "publish the gateway by ingress or httpRoute",
    "dashboard": "dashboard.enabled brings the one dashboard there is",
    "llm-uservice": "generation is always there, and speaks with the engine itself",
    "embedding-usvc": "embedding is always there, and speaks with the server itself",
    "reranking-usvc": "reranking is always there, and speaks with the server itself",
    "guardrails-usvc": "no guard model is deployed: bring its server",
    "tgi-guardrails": "no guard model is deployed: bring its server",
    "ollama": "Ollama is not deployed: bring its server, as an entry of engine external and protocol ollama",
    "global.modelUseHostPath": "models are on volumes: models[].cache",
    "global.prometheusNamespace": "networkPolicy.metricsFrom says where Prometheus runs",
    "port": "the gateway listens at 8888",
    "securityContext": "the chart sets its own: not root, a read-only root",
    "podSecurityContext": "the chart sets its own: not root, a read-only root",
    "replicaCount": "gateway.replicas",
}
"""By path: where the matter is decided here. What is in no line has no counterpart that is known."""


@dataclass(slots=True)
class Migration:
    """What was written for Ragline, and what a reader has to know of it."""

    values: JsonObject = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _Theirs:
    """Their values over OPEA's defaults; remembers what was read."""

    def __init__(self, given: JsonObject) -> None:
        self._given = given
        self._read: list[tuple[str, ...]] = []

    def take(self, *path: str) -> JsonValue:
        """Read a value, or None."""
        self._read.append(path)
        found = _look_up(self._given, path)
        return _look_up(DEFAULTS, path) if found is None else found

    def text(self, *path: str) -> str:
        """Read a text; empty where it is missing or one of OPEA's placeholders."""
        found = self.take(*path)
        text = "" if found is None else str(found).strip()
        return "" if text.startswith(PLACEHOLDERS) else text

    def mapping(self, *path: str) -> JsonObject:
        found = self.take(*path)
        return found if isinstance(found, dict) else {}

    def is_on(self, *path: str) -> bool:
        return self.take(*path) is True

    def unread(self) -> list[str]:
        """List the paths of what was given and not read, each group that `NOWHERE` knows once."""
        found: dict[str, None] = {}
        for path in _leaves(self._given):
            if any(path[: len(read)] == read for read in self._read):
                continue
            name = ".".join(path)
            known = [group for group in NOWHERE if name == group or name.startswith(f"{group}.")]
            found[max(known, key=len) if known else name] = None
        return list(found)


def _look_up(values: JsonValue, path: Sequence[str]) -> JsonValue:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _leaves(values: JsonObject, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        elif value not in (None, "", {}, []):
            yield (*path, key)


def merge_values(layers: Sequence[JsonObject]) -> JsonObject:
    """Merge values as `helm -f` does: a later file's value stands in place of an earlier one's."""
    merged: JsonObject = {}
    for layer in layers:
        for key, value in layer.items():
            before = merged.get(key)
            both = isinstance(before, dict) and isinstance(value, dict)
            merged[key] = merge_values([before, value]) if both else value  # type: ignore[list-item]
    return merged


def convert_values(given: JsonObject) -> Migration:
    """Write Ragline's values for a deployment of OPEA's chart, which had these values over its own."""
    theirs, done = _Theirs(given), Migration()
    models = [model for model in _list_models(theirs, done.notes) if model]
    if models:
        done.values["llm"] = {"backend": models[0]["name"]}
        done.values["models"] = list(models)
    else:
        done.notes.append("models: none of theirs can be deployed; the chart's own small and large answer")
    tei: JsonObject = {"embedding": _write_tei(theirs, "tei", "EMBEDDING_MODEL_ID", done.notes)}
    if theirs.is_on("teirerank", "enabled"):
        tei["reranking"] = _write_tei(theirs, "teirerank", "RERANK_MODEL_ID", done.notes)
    else:
        done.values["reranking"] = {"backend": "none"}
    done.values["tei"] = tei
    _write_rest(theirs, done)
    for path in theirs.unread():
        done.notes.append(f"{path}: {NOWHERE.get(path, 'no counterpart')}")
    return done


def _list_models(theirs: _Theirs, notes: list[str]) -> list[JsonObject]:
    models = []
    if theirs.is_on("externalLLM", "enabled"):
        models.append(_write_external(theirs, notes))
    for engine in ("vllm", "tgi"):
        if theirs.is_on(engine, "enabled"):
            models.append(_write_engine(theirs, engine, notes))
    return models


def _write_external(theirs: _Theirs, notes: list[str]) -> JsonObject:
    host, port = (
        theirs.text("externalLLM", "LLM_SERVER_HOST_IP"),
        theirs.text("externalLLM", "LLM_SERVER_PORT"),
    )
    model: JsonObject = {
        "name": "external",
        "engine": "external",
        "protocol": "openai",
        "endpoint": join_address(host, port or "80") or "http://llm.example.com",
        "modelId": theirs.text("externalLLM", "LLM_MODEL") or "model",
    }
    if not host:
        notes.append("models[].endpoint: externalLLM names no server: write yours in its place")
    key = theirs.text("externalLLM", "OPENAI_API_KEY")
    return model | ({"apiKey": key} if key else {})


def _write_engine(theirs: _Theirs, engine: str, notes: list[str]) -> JsonObject:
    """Write a model entry for an engine that is deployed; empty where there is no image for its hardware."""
    hardware, devices, resources = _read_hardware(theirs, engine, notes)
    if not hardware:
        return {}
    model: JsonObject = {
        "name": engine,
        "engine": engine,
        "hardware": hardware,
        "modelId": theirs.text(engine, "LLM_MODEL_ID"),
    }
    if devices:
        model["devices"] = devices
    memory = [_look_up(resources, (kind, "memory")) for kind in ("requests", "limits")]
    if not all(memory):
        notes.append(f"models[].resources of {engine}: guessed; docs/deploy/sizing.md has the arithmetic")
    model["resources"] = resources if all(memory) else GUESSED
    claim = theirs.text("global", "modelUsePVC")
    cache: JsonObject = {"size": CACHE}
    model["cache"] = cache | ({"existingClaim": claim} if claim else {})
    for name, ours in (("MAX_INPUT_LENGTH", "maxInput"), ("MAX_TOTAL_TOKENS", "maxContext")):
        if (text := theirs.text(engine, name)).isdigit():
            model[ours] = int(text)
    if shm := theirs.text(engine, "shmSize"):
        notes.append(f"{engine}.shmSize {shm}: not taken: models[].shm counts into the memory limit")
    arguments = theirs.take(engine, "extraCmdArgs")
    model |= _read_flags([str(one) for one in arguments] if isinstance(arguments, list) else [])
    return model | _read_placement(theirs, engine)


def _read_hardware(theirs: _Theirs, engine: str, notes: list[str]) -> tuple[str, int, JsonObject]:
    """Read the hardware (empty: there is no image for it), how many devices, and the resources besides."""
    resources = theirs.mapping(engine, "resources")
    named = theirs.text(engine, "accelDevice")
    hardware = {"": "xeon", "gaudi": "gaudi", "nvidia": "cuda", "cuda": "cuda"}.get(named, "")
    devices = 0
    kept: JsonObject = {}
    for kind in ("requests", "limits"):
        amounts = _look_up(resources, (kind,))
        listed = dict(amounts) if isinstance(amounts, dict) else {}
        for device, meant in DEVICES.items():
            if device in listed:
                hardware, devices = meant, int(str(listed.pop(device)))
        if listed:
            kept[kind] = listed
    if not hardware:
        notes.append(f"{engine}.accelDevice {named}: no image for it; bring the server, as engine external")
    return hardware, devices or (1 if hardware in {"gaudi", "cuda"} else 0), kept


def _read_flags(arguments: Sequence[str]) -> JsonObject:
    """Read an engine's further arguments: some are fields of an entry, the others stay arguments."""
    found: JsonObject = {}
    rest: list[JsonValue] = []
    pending = [part for argument in arguments for part in argument.split("=", 1)]
    while pending:
        flag = pending.pop(0)
        if flag in FLAGS and pending and pending[0].isdigit():
            found[FLAGS[flag]] = int(pending.pop(0))
        else:
            rest.append(flag)
    return found | ({"extraArgs": rest} if rest else {})


def _read_placement(theirs: _Theirs, *path: str) -> JsonObject:
    placed = {name: theirs.take(*path, name) for name in ("nodeSelector", "tolerations", "affinity")}
    return {name: value for name, value in placed.items() if value}


def _write_tei(theirs: _Theirs, name: str, model: str, notes: list[str]) -> JsonObject:
    hardware, devices, resources = _read_hardware(theirs, name, notes)
    written: JsonObject = {"enabled": True, "modelId": theirs.text(name, model)}
    written["hardware"] = "cpu" if hardware in {"xeon", ""} else hardware
    if devices:
        written["devices"] = devices
    if resources:
        written["resources"] = resources
    return written | _read_placement(theirs, name)


def _write_rest(theirs: _Theirs, done: Migration) -> None:
    values = done.values
    token = theirs.text("global", "HF_TOKEN") or theirs.text("global", "HUGGINGFACEHUB_API_TOKEN")
    secrets: JsonObject = {"hfToken": token} if token else {}
    if theirs.is_on("qdrant", "enabled"):
        values["qdrant"] = {"enabled": True}
        secrets["qdrantApiKey"] = "CHANGEME"
        done.notes.append("secrets.qdrantApiKey: Qdrant needs a key here: write one in place of CHANGEME")
    else:
        done.notes.append(f"redis-vector-db: {NOWHERE['redis-vector-db']}")
    theirs.take("redis-vector-db")
    if secrets:
        values["secrets"] = secrets
    names = (("http_proxy", "http"), ("https_proxy", "https"), ("no_proxy", "noProxy"))
    proxy: JsonObject = {ours: text for name, ours in names if (text := theirs.text("global", name))}
    if proxy:
        values["proxy"] = proxy
    if theirs.is_on("global", "monitoring"):
        release = theirs.text("global", "prometheusRelease") or "prometheus-stack"
        values["serviceMonitor"] = {"enabled": True, "labels": {"release": release}}
        values["dashboard"] = {"enabled": True}
    pull = theirs.take("imagePullSecrets")
    if pull:
        values["imagePullSecrets"] = pull
    kind = theirs.text("nginx", "service", "type") or theirs.text("service", "type")
    gateway = _read_placement(theirs) | ({"service": {"type": kind}} if kind and kind != "ClusterIP" else {})
    if gateway:
        values["gateway"] = gateway
