"""The model entries that the environment asks for. Pure but for reading the file LLM_BACKENDS names."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from services.core.errors import NotFound, RaglineError
from services.core.models.catalogue import CATALOGUE
from services.generation.entry import ModelEntry
from services.generation.files import catalogue_name
from services.generation.settings import EntrySettings

AUTO = "auto"
"""The engine that stands for the faster embedded one on this machine."""

EMBEDDED = frozenset({AUTO, "openvino", "llamacpp"})
"""Engines whose models are local files: the catalogue's or the user's."""

ALIASES = dict.fromkeys(
    ("vllm", "ovms", "ollama", "tgi", "sglang", "llama-server", "lmdeploy", "tensorrt-llm", "gaudi"), "openai"
)
"""Names of servers that all speak OpenAI's protocol; an entry keeps the name it was given, for errors."""

SMALL = ModelEntry(name="small", model_id="qwen2.5-coder-0.5b-instruct")
LARGE = ModelEntry(name="large", model_id="qwen2.5-coder-1.5b-instruct")

_LIST = TypeAdapter(list[ModelEntry])


class BadEntries(RaglineError):
    """The environment describes no usable set of entries; the message names the variable."""

    status, code = 500, "bad_model_entries"


@dataclass(frozen=True, slots=True)
class Entries:
    """Every entry by name, in the order given, and which one is the default."""

    by_name: dict[str, ModelEntry]
    default: ModelEntry

    def find(self, model: str) -> ModelEntry:
        """The entry that a request's `model` names, by name or by model id; empty is the default.

        Raises `NotFound` that lists the names.
        """
        if not model:
            return self.default
        found = self.by_name.get(model)
        if found is None:
            found = next((entry for entry in self.by_name.values() if entry.model_id == model), None)
        if found is None:
            raise NotFound(f"no model entry {model!r}: choose one of {', '.join(self.by_name)}")
        return found


def engine_file(engine: str) -> str:
    """The backend file behind an engine's name."""
    return ALIASES.get(engine, engine)


def read(settings: EntrySettings, engines: list[str]) -> Entries:
    """The entries; `engines` are the backend files there are. Raises `BadEntries`."""
    listed = _listed(settings.backends) if settings.backends else _embedded(settings)
    entries = {entry.name: entry for entry in listed}
    if len(entries) != len(listed):
        raise BadEntries("LLM_BACKENDS: two entries have the same name")
    own = _single(settings)
    if own is not None:
        entries[own.name] = own
    for entry in entries.values():
        _check(entry, engines, "LLM_BACKENDS" if settings.backends and entry is not own else "")
    if own is not None:
        return Entries(entries, own)
    if not entries:
        raise BadEntries("LLM_BACKENDS: the list is empty")
    name = settings.backend or next(iter(entries))
    if name not in entries:
        raise BadEntries(
            f"LLM_BACKEND={name}: unknown, choose one of {', '.join(entries)} "
            "(or describe it with LLM_ENGINE, LLM_ENDPOINT and LLM_MODEL_ID)"
        )
    return Entries(entries, entries[name])


def _embedded(settings: EntrySettings) -> list[ModelEntry]:
    """`small` and `large`; LLM_ENGINE without a model chooses their engine."""
    update: dict[str, object] = {"max_context": settings.max_context}
    if settings.engine and not _describes_model(settings):
        update["engine"] = settings.engine
    return [entry.model_copy(update=update) for entry in (SMALL, LARGE)]


def _describes_model(settings: EntrySettings) -> bool:
    """Whether the single-entry variables describe an entry of their own, and not the engine of the two."""
    embedded = not settings.engine or settings.engine in EMBEDDED
    return not embedded or bool(settings.endpoint or settings.model_id or settings.model_path)


def _single(settings: EntrySettings) -> ModelEntry | None:
    if not _describes_model(settings):
        return None
    engine = settings.engine or ("openai" if settings.endpoint else AUTO)
    model = settings.model_id or Path(settings.model_path).name
    if not model and engine == "fake":
        model = "fake"
    try:
        return ModelEntry(
            name=settings.backend or _derived_name(model or engine),
            engine=engine,
            model_id=model,
            endpoint=settings.endpoint,
            model_path=settings.model_path,
            api_key=settings.api_key,
            max_context=settings.max_context,
        )
    except ValidationError as error:
        raise BadEntries(f"LLM_BACKEND={settings.backend}: {_reason(error)}") from error


def _derived_name(model: str) -> str:
    """`deepseek-ai/DeepSeek-R1` gives `DeepSeek-R1`; what a name may not hold becomes a dash."""
    last = model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-.")[:63] or "model"


def _check(entry: ModelEntry, engines: list[str], source: str) -> None:
    where = f"{source}: entry {entry.name}: " if source else ""
    file = engine_file(entry.engine)
    if file != AUTO and file not in engines:
        known = sorted({AUTO, *engines, *ALIASES})
        raise BadEntries(
            f"{where or 'LLM_ENGINE: '}unknown engine {entry.engine!r}, choose one of {', '.join(known)}"
        )
    variables = ("endpoint", "model_id") if source else ("LLM_ENDPOINT", "LLM_MODEL_ID")
    if file == "openai" and not entry.endpoint:
        raise BadEntries(f"{where}engine {entry.engine} is a server: set {variables[0]} to its base URL")
    if file == "openai" and not entry.endpoint.startswith(("http://", "https://")):
        raise BadEntries(f"{where}{variables[0]}={entry.endpoint}: must start with http:// or https://")
    if file == "openai" and not entry.model_id:
        raise BadEntries(
            f"{where}engine {entry.engine} needs {variables[1]}: the model's id at {entry.endpoint}"
        )
    if file != "openai" and not (entry.model_id or entry.model_path):
        raise BadEntries(f"{where}set {variables[1]} or {'model_path' if source else 'LLM_MODEL_PATH'}")

    if file in EMBEDDED and not entry.model_path and catalogue_name(entry.model_id) not in CATALOGUE:
        models = ", ".join(name for name, model in CATALOGUE.items() if model.kind == "llm")
        raise BadEntries(
            f"{where}{variables[1]}={entry.model_id}: not in the model catalogue ({models}); give a file "
            f"({'model_path' if source else 'LLM_MODEL_PATH'}) or a server ({variables[0]})"
        )


def _listed(source: str) -> list[ModelEntry]:
    """The entries of a JSON list, or of a .json or .toml file with one (TOML: under `models`)."""
    text = source.strip()
    try:
        if text.startswith(("[", "{")):
            parsed: object = orjson.loads(text)
        elif text.endswith(".toml"):
            parsed = tomllib.loads(Path(text).expanduser().read_text(encoding="utf-8"))
        else:
            parsed = orjson.loads(Path(text).expanduser().read_bytes())
        if isinstance(parsed, dict):
            parsed = parsed.get("models", [parsed])
        return _LIST.validate_python(parsed)
    except OSError as error:
        raise BadEntries(f"LLM_BACKENDS: {text} cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadEntries(
            f"LLM_BACKENDS: not a JSON list, nor a .json or .toml file of one: {error}"
        ) from error
    except ValidationError as error:
        raise BadEntries(f"LLM_BACKENDS: {_reason(error)}") from error


def _reason(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()[:3]
    )
