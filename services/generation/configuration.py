"""The model entries that the environment asks for, and the names of engines.

It imports no engine, and is pure but for reading the file that LLM_BACKENDS names.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from services.core.errors import RaglineError
from services.core.models.catalogue import CATALOGUE
from services.core.models.references import HOW, find_catalogue_name, read_reference
from services.generation.entries import BadFallback, Entries, ModelEntry, RequestFields, build_chain
from services.generation.reasoning.matching import InvalidProfile, find_profile
from services.generation.settings import EntrySettings

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
"""Names that servers are known by, and the backend that speaks to them; an entry keeps the name it was given,
for errors."""

SMALL = ModelEntry(name="small", model_id="qwen2.5-coder-0.5b-instruct")
LARGE = ModelEntry(name="large", model_id="qwen2.5-coder-1.5b-instruct")

_LIST = TypeAdapter(list[ModelEntry])


class BadEntries(RaglineError):
    """The environment describes no usable set of entries; the message names the variable."""

    status, code = 500, "bad_model_entries"


def find_backend(engine: str) -> str:
    """Return the name of the backend that an engine's name stands for."""
    return ALIASES.get(engine, engine)


def read_entries(settings: EntrySettings, engines: list[str]) -> Entries:
    """Read the model entries from the settings.

    Args:
        settings: The variables that describe entries.
        engines: The names of the backends there are.

    Raises:
        BadEntries: The settings describe no usable set of entries.
    """
    listed = _parse_list(settings.backends) if settings.backends else _small_and_large(settings)
    entries = {entry.name: entry for entry in listed}
    if len(entries) != len(listed):
        raise BadEntries("LLM_BACKENDS: two entries have the same name")
    own = _single_entry(settings) or _catalogue_entry(settings, entries)
    if own is not None:
        entries[own.name] = own
    for entry in entries.values():
        _check_engine(entry, engines, "LLM_BACKENDS" if settings.backends and entry is not own else "")
    if not entries:
        raise BadEntries("LLM_BACKENDS: the list is empty")
    name = own.name if own is not None else settings.backend or next(iter(entries))
    if name not in entries:
        raise BadEntries(
            f"LLM_BACKEND={name}: unknown, choose one of {', '.join(entries)} or of the model catalogue "
            "(ragline models), or describe it with LLM_ENGINE, LLM_ENDPOINT and LLM_MODEL_ID"
        )
    entries[name] = _apply_overrides(entries[name], settings)
    for entry in entries.values():
        _check_names(entry, entries, settings, default=entry is entries[name])
    return Entries(entries, entries[name])


def _apply_overrides(entry: ModelEntry, settings: EntrySettings) -> ModelEntry:
    """Return the default entry with what the environment says about it besides its engine and model."""
    fields: dict[str, object] = {
        "profile": settings.profile,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "first_token_seconds": settings.first_token_seconds,
        "between_tokens_seconds": settings.between_tokens_seconds,
        "think_tags": _split_tags(settings.think_tags),
        "look_ahead": settings.look_ahead,
        "request": _parse_request(settings.request),
        "aliases": _split_names(settings.aliases),
        "fallback": _split_names(settings.fallback),
    }
    overrides = {name: value for name, value in fields.items() if value not in ("", None, ())}
    return entry.model_copy(update=overrides)


def _split_names(text: str) -> tuple[str, ...]:
    names = (part.strip() for part in text.split(","))
    return tuple(name for name in names if name)


def _split_tags(text: str) -> tuple[str, str] | None:
    """Read LLM_THINK_TAGS. Raises `BadEntries` where it is not two tags."""
    if not text:
        return None
    tags = [tag.strip() for tag in text.split(",")]
    if len(tags) != 2 or not all(tags):
        raise BadEntries(f"LLM_THINK_TAGS={text}: give opener and closer with a comma between them")
    return tags[0], tags[1]


def _parse_request(text: str) -> RequestFields | None:
    """Read LLM_REQUEST. Raises `BadEntries` where it is not what it should be."""
    if not text:
        return None
    try:
        return RequestFields.model_validate_json(text)
    except ValidationError as error:
        raise BadEntries(f"LLM_REQUEST: {_describe(error)}") from error


def _check_names(
    entry: ModelEntry, entries: dict[str, ModelEntry], settings: EntrySettings, *, default: bool
) -> None:
    """Raise `BadEntries` where a fallback leads nowhere, an alias is another entry's name, or there is no
    such profile. `default`: the single-entry variables may have set these."""
    listed = f"LLM_BACKENDS: entry {entry.name}: "
    try:
        find_profile(entry.model_id, entry.profile)
    except InvalidProfile as error:
        where = "LLM_PROFILE" if default and settings.profile else f"{listed}profile"
        raise BadEntries(f"{where}: {error.message}") from error
    try:
        build_chain(entry, entries)
    except BadFallback as error:
        where = "LLM_FALLBACK" if default and settings.fallback else f"{listed}fallback"
        raise BadEntries(f"{where}: {error}") from error
    where = "LLM_ALIASES" if default and settings.aliases else f"{listed}aliases"
    for alias in entry.aliases:
        for other in entries.values():
            if other is not entry and alias in {other.name, *other.aliases}:
                raise BadEntries(f"{where}: {alias!r} is a name of entry {other.name} already")


def _small_and_large(settings: EntrySettings) -> list[ModelEntry]:
    """Return the entries `small` and `large`; LLM_ENGINE without a model chooses their engine."""
    update: dict[str, object] = {"max_context": settings.max_context}
    if settings.engine and not _describes_model(settings):
        update["engine"] = settings.engine
    return [entry.model_copy(update=update) for entry in (SMALL, LARGE)]


def _describes_model(settings: EntrySettings) -> bool:
    """Tell whether the single-entry variables describe an entry of their own, and not the engine of the
    two."""
    embedded = not settings.engine or settings.engine in EMBEDDED
    return not embedded or bool(settings.endpoint or settings.model_id or settings.model_path)


def _single_entry(settings: EntrySettings) -> ModelEntry | None:
    """Return the entry that LLM_ENGINE, LLM_ENDPOINT, LLM_MODEL_ID and so on describe; None where they do
    not."""
    if not _describes_model(settings):
        return None
    engine = settings.engine or ("openai" if settings.endpoint else AUTO)
    model = settings.model_id or Path(settings.model_path).name
    if not model and engine == "fake":
        model = "fake"
    try:
        return ModelEntry(
            name=settings.backend or _derive_name(model or engine),
            engine=engine,
            model_id=model,
            endpoint=settings.endpoint,
            model_path=settings.model_path,
            api_key=settings.api_key,
            max_context=settings.max_context,
        )
    except ValidationError as error:
        raise BadEntries(f"LLM_BACKEND={settings.backend}: {_describe(error)}") from error


def _catalogue_entry(settings: EntrySettings, entries: dict[str, ModelEntry]) -> ModelEntry | None:
    """Return an entry of the catalogue's model that LLM_BACKEND names, where no entry has that name."""
    name = find_catalogue_name(settings.backend)
    model = CATALOGUE.get(name)
    if settings.backend in entries or model is None or model.kind != "llm":
        return None
    engine = settings.engine if settings.engine in EMBEDDED else AUTO
    return ModelEntry(name=name, engine=engine, model_id=name, max_context=settings.max_context)


def _derive_name(model: str) -> str:
    """Make an entry's name of a model id: `deepseek-ai/DeepSeek-R1` gives `DeepSeek-R1`.

    What a name may not hold becomes a dash.
    """
    last = model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-.")[:63] or "model"


def _parse_list(source: str) -> list[ModelEntry]:
    """Read the entries of a JSON list, or of a .json or .toml file with one (TOML: under `models`)."""
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
        raise BadEntries(f"LLM_BACKENDS: {_describe(error)}") from error


def _describe(error: ValidationError) -> str:
    """Describe the first three mistakes, with the field that has them."""
    return "; ".join(
        f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()[:3]
    )


def _check_engine(entry: ModelEntry, engines: list[str], source: str) -> None:
    """Raise `BadEntries` where the engine is none of the backends `engines`, or the entry lacks something.

    `source` names the variable that lists the entry; empty for the one that LLM_ENGINE etc. describe.
    """
    where = f"{source}: entry {entry.name}: " if source else ""
    backend = find_backend(entry.engine)
    if backend != AUTO and backend not in engines:
        known = sorted({AUTO, *engines, *ALIASES})
        raise BadEntries(
            f"{where or 'LLM_ENGINE: '}unknown engine {entry.engine!r}, choose one of {', '.join(known)}"
        )
    variables = ("endpoint", "model_id") if source else ("LLM_ENDPOINT", "LLM_MODEL_ID")
    if backend in SERVERS:
        _check_server(entry, where, *variables)
    elif not (entry.model_id or entry.model_path):
        raise BadEntries(f"{where}set {variables[1]} or {'model_path' if source else 'LLM_MODEL_PATH'}")
    elif backend in EMBEDDED and not entry.model_path:
        _check_embedded(entry, f"{where}{variables[1]}", variables[0])


def _check_embedded(entry: ModelEntry, where: str, endpoint: str) -> None:
    """Raise `BadEntries` where the entry's model is no LLM of the catalogue, nor a hub id or URL."""
    listed = CATALOGUE.get(find_catalogue_name(entry.model_id))
    if listed.kind != "llm" if listed else read_reference(entry.model_id) is None:
        models = ", ".join(name for name, model in CATALOGUE.items() if model.kind == "llm")
        raise BadEntries(
            f"{where}={entry.model_id}: not in the model catalogue ({models}); give {HOW}, a file "
            f"({'model_path' if endpoint == 'endpoint' else 'LLM_MODEL_PATH'}) or a server ({endpoint})"
        )


def _check_server(entry: ModelEntry, where: str, endpoint: str, model_id: str) -> None:
    """Raise `BadEntries`; `endpoint` and `model_id` are what the user calls these fields."""
    if not entry.endpoint:
        raise BadEntries(f"{where}engine {entry.engine} is a server: set {endpoint} to its base URL")
    if not entry.endpoint.startswith(("http://", "https://")):
        raise BadEntries(f"{where}{endpoint}={entry.endpoint}: must start with http:// or https://")
    if not entry.model_id:
        raise BadEntries(f"{where}engine {entry.engine} needs {model_id}: the model's id at {entry.endpoint}")
