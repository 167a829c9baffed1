"""The command line's own settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.core.errors import InvalidRequest
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
    api_key_file: Path | None = Field(
        None,
        validation_alias="RAGLINE_API_KEY_FILE",
        description="file with the key for the gateway, in place of RAGLINE_API_KEY",
    )
    keys_file: Path | None = Field(
        None,
        validation_alias="GATEWAY_KEYS_FILE",
        description="file of API keys that `ragline keys` works on; unset: RAGLINE_HOME/keys.json",
    )

    @property
    def key(self) -> str:
        """The key for the gateway, from the variable or from the file; empty: none."""
        if self.api_key or self.api_key_file is None:
            return self.api_key
        try:
            return self.api_key_file.expanduser().read_text("utf-8").strip()
        except OSError as error:
            raise InvalidRequest(f"RAGLINE_API_KEY_FILE {self.api_key_file}: {error.strerror}") from None
