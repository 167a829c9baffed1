"""Model entries: named LLMs that a request can ask for, and which of them answer for others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from services.core.errors import NotFound


class RequestFields(BaseModel):
    """How requests to an entry's server differ from OpenAI's; applied in this order, after its profile's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop: tuple[str, ...] = Field((), description="fields that the server refuses, such as `stream_options`")
    rename: dict[str, str] = Field({}, description="fields by the server's names for them")
    add: dict[str, JsonValue] = Field({}, description="fields that it needs besides")

    @field_validator("drop", "rename", "add")
    @classmethod
    def _keep_the_protocol(cls, fields: Collection[str]) -> Collection[str]:
        for name in ("messages", "prompt", "stream", "model"):
            if name in fields:
                raise ValueError(f"`{name}` must stay as it is")
        return fields


class ModelEntry(BaseModel):
    """One entry of the registry, as `LLM_BACKENDS` lists them."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", description="what a request's `model` says"
    )
    engine: str = Field("auto", description="an engine's file name, or auto: the faster embedded one here")
    model_id: str = Field(
        "", description="the model's id at the server, a name of the catalogue, a hub id or URL of a GGUF"
    )
    endpoint: str = Field("", description="base URL of a server engine")
    model_path: str = Field("", description="a local GGUF file or OpenVINO folder instead of the catalogue's")
    api_key: str = Field("", repr=False, description="bearer token for a server engine")
    max_context: int = Field(8192, ge=256, description="tokens of prompt and answer together")
    profile: str = Field(
        "", description="name of a reasoning profile instead of the one its model id suggests"
    )
    think_tags: tuple[str, str] | None = Field(
        None, description="the tags around the model's thinking, opener and closer, instead of its profile's"
    )
    look_ahead: int | None = Field(
        None,
        ge=0,
        description="where its model may think without an opener: so many characters of its text are held "
        "back at most; 0: none; unset: up to its end",
    )
    system_role: bool | None = Field(
        None, description="false: its chat template has no system role; instead of what its profile says"
    )
    alternating_roles: bool | None = Field(
        None, description="true: its chat template wants user and assistant in turn; instead of its profile's"
    )
    request: RequestFields = Field(
        RequestFields(), description="fields of a request that its server calls otherwise, refuses or needs"
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="instead of the profile's, where a request sets none"
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="instead of the profile's, where a request sets none"
    )
    first_token_seconds: float | None = Field(
        None,
        gt=0,
        description="how long it may take to its first token; unset: the request's deadline, or for a server "
        "with a fallback half of it",
    )
    between_tokens_seconds: float | None = Field(
        60, gt=0, description="how long it may keep silent once it has begun; null: the request's deadline"
    )
    aliases: tuple[str, ...] = Field((), description="other names that a request's `model` may say")
    fallback: tuple[str, ...] = Field(
        (), description="names of the entries to answer instead where this one is down or gives no answer"
    )


@dataclass(frozen=True, slots=True)
class Entries:
    """All entries by name, in the order given, and which one is the default."""

    by_name: dict[str, ModelEntry]
    default: ModelEntry

    def chain(self, entry: ModelEntry) -> tuple[ModelEntry, ...]:
        """The entry, then those that answer where it does not. See `build_chain`."""
        return build_chain(entry, self.by_name)

    def find(self, model: str) -> ModelEntry:
        """Find the entry that a request's `model` names.

        Args:
            model: A name, else an alias, else a model id; empty for the default entry.

        Raises:
            NotFound: No entry has that name; the message lists the names.
        """
        if not model:
            return self.default
        if model in self.by_name:
            return self.by_name[model]
        entries = self.by_name.values()
        with_alias = [entry for entry in entries if model in entry.aliases]
        with_id = [entry for entry in entries if entry.model_id == model]
        for entry in (*with_alias, *with_id):
            return entry
        raise NotFound(f"no model entry {model!r}: choose one of {', '.join(self.by_name)}")


class BadFallback(ValueError):
    """A fallback chain names an unknown entry or comes back to where it was."""


def build_chain(entry: ModelEntry, by_name: Mapping[str, ModelEntry]) -> tuple[ModelEntry, ...]:
    """List the entries that may answer a request for `entry`.

    Returns:
        `entry`, then its fallbacks in order, each followed by its own; every entry once.

    Raises:
        BadFallback: A fallback's name is no entry's, or the fallbacks go in a circle.
    """
    chain: dict[str, ModelEntry] = {}
    _follow(entry, by_name, chain, ())
    return tuple(chain.values())


def _follow(
    entry: ModelEntry, by_name: Mapping[str, ModelEntry], chain: dict[str, ModelEntry], path: tuple[str, ...]
) -> None:
    """Add `entry` and its fallbacks to `chain`; `path` names the entries that led to it."""
    if entry.name in path:
        raise BadFallback(f"goes in a circle: {' -> '.join((*path, entry.name))}")
    chain.setdefault(entry.name, entry)
    for name in entry.fallback:
        if name not in by_name:
            raise BadFallback(f"no model entry {name!r}, choose among {', '.join(by_name)}")
        _follow(by_name[name], by_name, chain, (*path, entry.name))
