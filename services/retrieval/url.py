"""`VECTOR_URL`: which vector store, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from services.core.errors import InvalidRequest

TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class StoreUrl:
    """The parts of `scheme://host:port/path?option=value`; `port` and `host` are empty where not given."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> StoreUrl:
        """Raises `InvalidRequest` that says how `VECTOR_URL` must look."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidRequest(f"VECTOR_URL={text!r} is not a URL: {error}") from None
        if not parts.scheme:
            raise InvalidRequest(
                f"VECTOR_URL={text!r} has no scheme: write edge:, edge:///path/to/dir, qdrant://host:6333 or "
                "redis://host:6379/0"
            )
        if parts.username or parts.password:
            raise InvalidRequest(
                "VECTOR_URL must not carry a user or password: set QDRANT_API_KEY, or REDIS_USERNAME and "
                "REDIS_PASSWORD, instead"
            )
        options = dict(parse_qsl(parts.query))
        return cls(parts.scheme, parts.hostname or "", port, unquote(parts.path), options)

    def backend(self, known: Sequence[str]) -> str:
        """The backend's name: the scheme, or the scheme without the `s` of a TLS connection."""
        plain = self.scheme.removesuffix("s")
        return plain if self.scheme not in known and plain in known else self.scheme

    @property
    def tls(self) -> bool:
        """True for `<backend>s://` and for `?tls=true`; meaningful for server backends."""
        return self.scheme.endswith("s") or self.options.get("tls", "").lower() in TRUE

    @property
    def directory(self) -> Path | None:
        """The local folder that the path names; None where there is no path."""
        if self.host:
            raise InvalidRequest(
                f"VECTOR_URL names the host {self.host!r}: a local folder needs three slashes, "
                f"{self.scheme}:///path/to/dir"
            )
        return Path(self.path).expanduser().resolve() if self.path else None
