"""The settings of who may do what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.core.settings import Settings
from services.gateway.access.keys import read_keys


class AccessSettings(Settings):
    """Part of the gateway's settings."""

    keys_file: Path | None = Field(
        None,
        validation_alias="GATEWAY_KEYS_FILE",
        description="file of API keys, as `ragline keys` writes it; read anew when it changes; unset: nobody "
        "is asked for a key",
    )

    @property
    def asks_for_keys(self) -> bool:
        return self.keys_file is not None

    @field_validator("keys_file")
    @classmethod
    def _check_keys(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_keys(path)
        return path
