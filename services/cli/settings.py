"""The command line's own settings."""

from __future__ import annotations

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
