"""A model entry: a named LLM that can be asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ModelEntry(BaseModel):
    """One entry of the registry, as `LLM_BACKENDS` lists them."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", description="what a request's `model` says"
    )
    engine: str = Field("auto", description="an engine's file name, or auto: the faster embedded one here")
    model_id: str = Field("", description="the model's id at the server, or a name of the model catalogue")
    endpoint: str = Field("", description="base URL of a server engine")
    model_path: str = Field("", description="a local GGUF file or OpenVINO folder instead of the catalogue's")
    api_key: str = Field("", repr=False, description="bearer token for a server engine")
    max_context: int = Field(8192, ge=256, description="tokens of prompt and answer together")
    profile: str = Field(
        "", description="name of a reasoning profile instead of the one its model id suggests"
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="instead of the profile's, where a request sets none"
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="instead of the profile's, where a request sets none"
    )
    aliases: tuple[str, ...] = Field((), description="other names that a request's `model` may say")
    fallback: tuple[str, ...] = Field(
        (), description="names of the entries to answer instead where this one is down or gives no answer"
    )
