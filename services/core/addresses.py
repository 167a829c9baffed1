"""Addresses of stores, as settings such as `VECTOR_URL` and `JOBS_URL` name them. Pure.

`scheme://host:port/path?option=value`: the scheme names the backend, the rest says where its store is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from services.core.errors import InvalidRequest

TRUE = frozenset({"1", "true", "yes", "on"})
REDIS_EXAMPLE = "must look like redis://host:6379/0, or rediss:// for TLS"
REDIS_PORT = 6379


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class AddressParts:
    """The parts of an address, decoded; a part that is not there is empty or None."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = field(default="", repr=False)


def split_address(text: str) -> AddressParts:
    """Split an address into its parts. Raises `ValueError` where it is not a URL."""
    parts = urlsplit(text)
    return AddressParts(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port,
        path=unquote(parts.path),
        options=dict(parse_qsl(parts.query)),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


@dataclass(frozen=True, slots=True)
class AddressSetting:
    """A setting that holds a store's address, as errors speak of it.

    `role` is what the store is used as; `examples` are what may be written there; `logins` are the settings
    that hold a user and a password. `repeats`: errors repeat what was set.
    """

    variable: str
    role: str
    examples: str
    logins: str
    repeats: bool = False


@dataclass(frozen=True)
class StoreAddress:
    """Which store a setting names, and where that is."""

    setting: AddressSetting
    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, setting: AddressSetting, text: str) -> Self:
        """Read an address.

        Args:
            setting: The setting that holds it.
            text: What was set.

        Raises:
            InvalidRequest: It is no URL, names no backend, or carries a password. The message says how it
                must look.
        """
        shown = f"{setting.variable}={text!r}" if setting.repeats else setting.variable
        try:
            parts = split_address(text)
        except ValueError as error:
            raise InvalidRequest(f"{shown} is not a URL: {error}") from None
        if not parts.scheme:
            raise InvalidRequest(f"{shown} has no scheme: write {setting.examples}")
        if parts.username or parts.password:
            raise InvalidRequest(
                f"{setting.variable} must not carry a user or password: set {setting.logins} instead"
            )
        return cls(setting, parts.scheme, parts.host, parts.port, parts.path, parts.options)

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
        """The local folder that the path names; None where there is no path.

        Raises:
            InvalidRequest: The address names a host, as one with two slashes does.
        """
        if self.host:
            raise InvalidRequest(
                f"{self.setting.variable} names the host {self.host!r}: a local folder needs three slashes, "
                f"{self.scheme}:///path/to/dir"
            )
        return Path(self.path).expanduser().resolve() if self.path else None


@dataclass(frozen=True)
class RedisAddress:
    """Where a Redis is; `variable` is the setting that says so, and `role` what it is used as.

    `username` and `password` are empty where the address carries none; then `RedisSettings` holds them.
    """

    variable: str
    role: str
    host: str
    port: int = REDIS_PORT
    db: int = 0
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, variable: str, role: str, text: str, *, login: bool = False) -> Self:
        """Read `redis://host:port/db` or `rediss://`.

        Args:
            variable: The setting that holds the address.
            role: What the server is used as, such as "the job store".
            text: What was set.
            login: Whether the address may carry a user and a password.

        Raises:
            InvalidRequest: It does not look like that. The message never repeats a password.
        """
        try:
            parts = split_address(text)
        except ValueError as error:
            raise InvalidRequest(f"{variable} {REDIS_EXAMPLE}: {error}") from None
        if not login and (parts.username or parts.password):
            raise InvalidRequest(
                f"{variable} must not carry a user or password: set REDIS_USERNAME and REDIS_PASSWORD instead"
            )
        return cls._of(variable, role, parts)

    @classmethod
    def of(cls, address: StoreAddress) -> Self:
        """The Redis that a store's address names. Raises `InvalidRequest` where it names none."""
        parts = AddressParts(address.scheme, address.host, address.port, address.path)
        return cls._of(address.setting.variable, address.setting.role, parts)

    @classmethod
    def _of(cls, variable: str, role: str, parts: AddressParts) -> Self:
        db = parts.path.strip("/") or "0"
        if parts.scheme not in {"redis", "rediss"} or not parts.host or not db.isdecimal():
            raise InvalidRequest(f"{variable} {REDIS_EXAMPLE}")
        tls, port = parts.scheme == "rediss", parts.port or REDIS_PORT
        return cls(variable, role, parts.host, port, int(db), tls, parts.username, parts.password)

    @property
    def has_login(self) -> bool:
        """Whether the address itself says how to log in."""
        return bool(self.username or self.password)

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.role} (Redis at {self.host}:{self.port}, {self.variable})"
