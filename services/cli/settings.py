"""The command line's own settings."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

from pydantic import Field

from services.core.errors import InvalidRequest
from services.core.settings import HomeSettings

chosen_key_file: ContextVar[Path | None] = ContextVar("chosen_key_file", default=None)
"""The file that --api-key-file names, while a command runs."""


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
        description="file with the key for the gateway, in place of RAGLINE_API_KEY; for one command, before "
        "both: `ragline --api-key-file`",
    )
    keys_file: Path | None = Field(
        None,
        validation_alias="GATEWAY_KEYS_FILE",
        description="file of API keys that `ragline keys` works on; unset: RAGLINE_HOME/keys.json",
    )

    @property
    def key(self) -> str:
        """The key for the gateway: of --api-key-file, else of the variable or its file; empty: none."""
        chosen = chosen_key_file.get()
        if chosen is not None:
            return _read_key("--api-key-file", chosen)
        if self.api_key or self.api_key_file is None:
            return self.api_key
        return _read_key("RAGLINE_API_KEY_FILE", self.api_key_file)


def _read_key(name: str, path: Path) -> str:
    try:
        key = path.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidRequest(f"{name} {path}: {reason}") from None
    if not key or len(key.split()) > 1:
        raise InvalidRequest(f"{name} {path}: it has to hold one key and nothing else")
    return key
