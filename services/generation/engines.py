"""The names of engines, and what an entry must say for each. Pure; imports no engine."""

from __future__ import annotations

from services.core.errors import RaglineError
from services.core.models.catalogue import CATALOGUE
from services.generation.entry import ModelEntry
from services.generation.files import catalogue_name

AUTO = "auto"
"""The engine that stands for the faster embedded one on this machine."""

EMBEDDED = frozenset({AUTO, "openvino", "llamacpp"})
"""Engines whose models are local files: the catalogue's or the user's."""

SERVERS = frozenset({"openai", "vllm", "tgi", "llamaserver"})
"""Engines that are clients of a server: they need its address and the model's id there."""

ALIASES = {
    "llama-server": "llamaserver",
    **dict.fromkeys(("ovms", "ollama", "sglang", "lmdeploy", "tensorrt-llm", "gaudi"), "openai"),
}
"""Names that servers are known by, and the file that speaks to them; an entry keeps the name it was given,
for errors."""


class BadEntries(RaglineError):
    """The environment describes no usable set of entries; the message names the variable."""

    status, code = 500, "bad_model_entries"


def engine_file(engine: str) -> str:
    """The backend file behind an engine's name."""
    return ALIASES.get(engine, engine)


def check(entry: ModelEntry, engines: list[str], source: str) -> None:
    """Raises `BadEntries` where the engine is none of the backend files `engines`, or lacks something.

    `source` names the variable that lists the entry; empty for the one that LLM_ENGINE etc. describe.
    """
    where = f"{source}: entry {entry.name}: " if source else ""
    file = engine_file(entry.engine)
    if file != AUTO and file not in engines:
        known = sorted({AUTO, *engines, *ALIASES})
        raise BadEntries(
            f"{where or 'LLM_ENGINE: '}unknown engine {entry.engine!r}, choose one of {', '.join(known)}"
        )
    variables = ("endpoint", "model_id") if source else ("LLM_ENDPOINT", "LLM_MODEL_ID")
    if file in SERVERS:
        _check_server(entry, where, *variables)
    elif not (entry.model_id or entry.model_path):
        raise BadEntries(f"{where}set {variables[1]} or {'model_path' if source else 'LLM_MODEL_PATH'}")
    elif file in EMBEDDED and not entry.model_path and catalogue_name(entry.model_id) not in CATALOGUE:
        models = ", ".join(name for name, model in CATALOGUE.items() if model.kind == "llm")
        raise BadEntries(
            f"{where}{variables[1]}={entry.model_id}: not in the model catalogue ({models}); give a file "
            f"({'model_path' if source else 'LLM_MODEL_PATH'}) or a server ({variables[0]})"
        )


def _check_server(entry: ModelEntry, where: str, endpoint: str, model_id: str) -> None:
    if not entry.endpoint:
        raise BadEntries(f"{where}engine {entry.engine} is a server: set {endpoint} to its base URL")
    if not entry.endpoint.startswith(("http://", "https://")):
        raise BadEntries(f"{where}{endpoint}={entry.endpoint}: must start with http:// or https://")
    if not entry.model_id:
        raise BadEntries(f"{where}engine {entry.engine} needs {model_id}: the model's id at {entry.endpoint}")
