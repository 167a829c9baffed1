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
