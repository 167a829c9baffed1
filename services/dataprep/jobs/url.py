"""`JOBS_URL`: which job store, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.core.errors import InvalidRequest


@dataclass(frozen=True)
class JobsUrl:
    """`text` as it was set, and its parts."""

    text: str
    scheme: str
    host: str
    path: str

    @classmethod
    def parse(cls, text: str) -> JobsUrl:
        """Raises `InvalidRequest` that says how `JOBS_URL` must look."""
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise InvalidRequest(f"JOBS_URL is not a URL: {error}") from None
        if not parts.scheme:
            raise InvalidRequest(
                "JOBS_URL has no scheme: write sqlite:, sqlite:///path/to/dir or redis://host:6379/0"
            )
        return cls(text, parts.scheme, parts.hostname or "", unquote(parts.path))

    @property
    def directory(self) -> Path | None:
        """The local folder that the path names; None where there is no path."""
        if self.host:
            raise InvalidRequest(
                f"JOBS_URL names the host {self.host!r}: a local folder needs three slashes, "
                f"{self.scheme}:///path/to/dir"
            )
        return Path(self.path).expanduser().resolve() if self.path else None
