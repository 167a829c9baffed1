"""Which catalogue models the services will need, so that `up` fetches them where the user sees it."""

from __future__ import annotations

from collections.abc import Iterable

from services.core import backends
from services.core.models.catalogue import CATALOGUE
from services.embedding.settings import Settings as EmbeddingSettings
from services.generation.backend import PACKAGE
from services.generation.entries import engine_file, read
from services.generation.files import catalogue_name
from services.generation.settings import EntrySettings

IN_PROCESS = frozenset({"auto", "openvino", "llamacpp"})


def needed(names: Iterable[str]) -> list[str]:
    """The models that these services load at their start, by the environment's settings.

    Raises `BadEntries` where the environment describes no usable model entry.
    """
    chosen = set(names)
    found = [
        *(_embedding() if "embedding" in chosen else []),
        *(_generation() if "generation" in chosen else []),
    ]
    return [name for name in found if name in CATALOGUE]


def _embedding() -> list[str]:
    if EmbeddingSettings.load().backend != "openvino":
        return []
    from services.embedding.backends.openvino import Settings  # noqa: PLC0415 - loads the engine's libraries

    settings = Settings.load()
    return [] if settings.model_path else [settings.catalogue_name]


def _generation() -> list[str]:
    default = read(EntrySettings.load(), backends.names(PACKAGE)).default
    if engine_file(default.engine) not in IN_PROCESS or default.model_path:
        return []
    return [catalogue_name(default.model_id)]
