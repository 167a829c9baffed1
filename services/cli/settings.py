"""The command line's own settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.core.settings import HomeSettings


class Settings(HomeSettings):
    url: str = Field(
        "",
        validation_alias="RAGLINE_URL",
        description="the gateway that ask and ingest talk to; empty: the one that runs here",
    )
    api_key: str = Field(
        "",
        repr=False,
        validation_alias="RAGLINE_API_KEY",
        description="key for the gateway, where it asks for one",
    )
    keys_file: Path | None = Field(
        None,
        validation_alias="GATEWAY_KEYS_FILE",
        description="file of API keys that `ragline keys` works on; unset: RAGLINE_HOME/keys.json",
    )
