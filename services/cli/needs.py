"""Which catalogue models the services will need, so that `up` fetches them where the user sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic_settings import BaseSettings

from services.core import backends
from services.core.models.catalogue import CATALOGUE
from services.embedding.settings import Settings as EmbeddingSettings
from services.generation.backend import PACKAGE
from services.generation.configuration import engine_file, read_entries
from services.generation.loading import catalogue_name
from services.generation.settings import EntrySettings

S = TypeVar("S", bound=BaseSettings)

IN_PROCESS = frozenset({"auto", "openvino", "llamacpp"})


def needed(names: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """The models that these services load at their start with the environment `env`.

    Raises `BadEntries` where it describes no usable model entry.
    """
    chosen = set(names)
    found = [
        *(_embedding(env) if "embedding" in chosen else []),
        *(_generation(env) if "generation" in chosen else []),
    ]
    return [name for name in found if name in CATALOGUE]


def _embedding(env: Mapping[str, str]) -> list[str]:
    if _read(EmbeddingSettings, env).backend != "openvino":
        return []
    from services.embedding.backends.openvino import Settings  # noqa: PLC0415 - loads the engine's libraries

    settings = _read(Settings, env)
    return [] if settings.model_path else [settings.catalogue_name]


def _generation(env: Mapping[str, str]) -> list[str]:
    default = read_entries(_read(EntrySettings, env), backends.names(PACKAGE)).default
    if engine_file(default.engine) not in IN_PROCESS or default.model_path:
        return []
    return [catalogue_name(default.model_id)]


def _read(settings: type[S], env: Mapping[str, str]) -> S:
    """The settings that a process with this environment would have: every field is given, none looked up."""
    values: dict[str, object] = {}
    for name, field in settings.model_fields.items():
        alias = str(field.validation_alias or name)
        values[alias] = env.get(alias) or field.get_default(call_default_factory=True, validated_data={})
    return settings.model_validate(values)
