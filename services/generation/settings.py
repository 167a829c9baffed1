"""Settings of the generation service; each engine's own are in its file."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from services.core.settings import HomeSettings, ServiceSettings
from services.core.settings import Settings as BaseSettings

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Count the CPUs by affinity, and by a container's quota where it has one; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup_limit.read_text(encoding="ascii").split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return max(1, allowed)


class EntrySettings(BaseSettings):
    """Which models there are and which one is the default."""

    backend: str = Field(
        "",
        validation_alias="LLM_BACKEND",
        description="the default model entry: `small`, `large`, a name of LLM_BACKENDS or of the model "
        "catalogue (`ragline models`); with LLM_MODEL_ID it names that entry",
    )
    backends: str = Field(
        "",
        validation_alias="LLM_BACKENDS",
        description="several entries instead of `small` and `large`: a JSON list of "
        "{name, engine, endpoint, model_id, ...}, or the path of such a .json or .toml file",
    )
    engine: str = Field(
        "",
        validation_alias="LLM_ENGINE",
        description="engine of the one entry below: openvino, llamacpp, auto, habana (in process), vllm, "
        "tgi, llama-server, openai (also as ovms, ollama, sglang, ...) or fake; alone it sets the engine of "
        "`small` and `large`",
    )
    endpoint: str = Field(
        "", validation_alias="LLM_ENDPOINT", description="base URL of a server engine, with or without /v1"
    )
    model_id: str = Field(
        "",
        validation_alias="LLM_MODEL_ID",
        description="the model's id at the server; for an embedded engine a name of the model catalogue, a "
        "hub id (`owner/name:Q8_0`) or the URL of a GGUF file",
    )
    model_path: str = Field(
        "",
        validation_alias="LLM_MODEL_PATH",
        description="a GGUF file, or for openvino a folder with an OpenVINO model, instead of LLM_MODEL_ID",
    )
    api_key: str = Field(
        "", repr=False, validation_alias="LLM_API_KEY", description="bearer token for a server engine"
    )
    max_context: int = Field(
        8192,
        ge=256,
        validation_alias="LLM_MAX_CONTEXT",
        description="tokens of prompt and answer together, in embedded engines; bounded by the model's own",
    )
    profile: str = Field(
        "",
        validation_alias="LLM_PROFILE",
        description="reasoning profile of the default entry instead of the one its model id suggests",
    )
    think_tags: str = Field(
        "",
        validation_alias="LLM_THINK_TAGS",
        description="the tags around the default entry's thinking, opener and closer with a comma between "
        "them (`<mm:think>,</mm:think>`), for a model that no profile knows",
    )
    look_ahead: int | None = Field(
        None,
        ge=0,
        validation_alias="LLM_LOOK_AHEAD",
        description="where the default entry's model may think without an opener: so many characters of its "
        "text are held back at most; 0: none; unset: up to its end",
    )
    request: str = Field(
        "",
        validation_alias="LLM_REQUEST",
        description="how requests to the default entry's server differ from OpenAI's, as JSON: "
        '`{"drop": ["stream_options"], "rename": {"max_tokens": "max_completion_tokens"}, "add": {}}`',
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        validation_alias="LLM_TEMPERATURE",
        description="the default entry's temperature where a request sets none; unset: its profile's",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        validation_alias="LLM_TOP_P",
        description="the default entry's top_p where a request sets none; unset: its profile's",
    )
    first_token_seconds: float | None = Field(
        None,
        gt=0,
        validation_alias="LLM_FIRST_TOKEN_SECONDS",
        description="how long the default entry may take to its first token, then its fallback answers; "
        "unset: the request's deadline, or for a server with a fallback half of it",
    )
    between_tokens_seconds: float | None = Field(
        None,
        gt=0,
        validation_alias="LLM_BETWEEN_TOKENS_SECONDS",
        description="how long the default entry may keep silent once it has begun; unset: 60",
    )
    aliases: str = Field(
        "",
        validation_alias="LLM_ALIASES",
        description="other names of the default entry that a request's `model` may say, separated by commas",
    )
    fallback: str = Field(
        "",
        validation_alias="LLM_FALLBACK",
        description="entries that answer where the default one is down, or thinks and gives no answer: "
        "in this order, separated by commas",
    )


class EmbeddedSettings(HomeSettings):
    """What the embedded engines share."""

    waits_for_engine: bool = Field(
        False,
        validation_alias="LLM_ENGINE_WAIT",
        description="engine auto at its first start: true waits until the engines are measured; false "
        "answers at once by the one that converts no file, and changes to the better one when it is known",
    )
    concurrency: int = Field(
        4,
        ge=1,
        le=256,
        validation_alias="LLM_CONCURRENCY",
        description="requests that an embedded engine works on at once; more wait in the queue",
    )
    threads: int = Field(
        0,
        ge=0,
        validation_alias="LLM_THREADS",
        description="threads of an embedded engine; 0: one for each CPU that this process may use",
    )

    @property
    def thread_count(self) -> int:
        """The threads that an embedded engine starts."""
        return self.threads or usable_cpus()


class Settings(ServiceSettings, EntrySettings, EmbeddedSettings):
    port: int = Field(
        9000, ge=1, le=65535, validation_alias="GENERATION_PORT", description="port of the generation service"
    )
    max_tokens: int = Field(
        512,
        ge=1,
        validation_alias="LLM_MAX_TOKENS",
        description="longest answer in tokens where the request sets no limit",
    )
    max_reasoning_tokens: int = Field(
        2048,
        ge=0,
        le=131072,
        validation_alias="LLM_MAX_REASONING_TOKENS",
        description="longest thinking in tokens where the request sets no budget, on top of LLM_MAX_TOKENS; "
        "0: no thinking unless a request asks for it",
    )
    server_concurrency: int = Field(
        256,
        ge=1,
        validation_alias="LLM_SERVER_CONCURRENCY",
        description="requests that one server engine gets at once; a server batches and queues by itself",
    )
    queue: int = Field(
        64,
        ge=0,
        validation_alias="LLM_QUEUE",
        description="requests that may wait for an engine; the next one is a 429 with Retry-After",
    )
    loaded_max: int = Field(
        2,
        ge=1,
        validation_alias="LLM_LOADED_MAX",
        description="embedded engines kept in memory; the least recently used idle one makes room",
    )
    down_seconds: float = Field(
        15,
        ge=0,
        validation_alias="LLM_DOWN_SECONDS",
        description="how long an entry that failed is passed over for its fallback before it is tried again",
    )
