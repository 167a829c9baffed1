"""Settings: frozen pydantic models, built once from the environment, one documented field each.

Every field names its environment variable as `validation_alias` and says in `description` what it
does; the tables of docs/settings.md and the `--help` of each service come from these two.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.core.addresses import is_loopback
from services.core.aliases import read_aliases
from services.core.origins import Visitors


class _Variables(EnvSettingsSource):
    """The environment by each field's variable alone: by its name, `home` would be the shell's `HOME`.

    A variable may be there by another name: `services.core.aliases` says which.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.config = SettingsConfigDict(**{**self.config, "validate_by_name": False})
        aliases = {name.lower(): value for name, value in read_aliases(os.environ).items()}
        self.env_vars = {**self.env_vars, **aliases}


class Settings(BaseSettings):
    """Base of every settings class: frozen, from the environment, by field name in tests."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        validate_by_name=True,
        validate_by_alias=True,
        env_ignore_empty=True,
        protected_namespaces=(),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment; no files."""
        return init_settings, _Variables(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """Read the environment; on a bad value print which variable is wrong and why, exit 2."""
        try:
            return cls()
        except ValidationError as error:
            for issue in error.errors():
                name = ".".join(str(part) for part in issue["loc"])
                print(f"{name}: {issue['msg']} (got {issue.get('input')!r})", file=sys.stderr)
            raise SystemExit(2) from None


TOKEN_HEADER = "x-service-token"  # noqa: S105 - a header's name


class PeerSettings(Settings):
    """What shows a service that a request comes from another of ours."""

    service_token: str = Field(
        "",
        repr=False,
        validation_alias="SERVICE_TOKEN",
        description="secret that all services share: every service but the gateway then answers only "
        "requests that bring it, health and metrics excepted; empty: whoever reaches one is answered, and "
        "`ragline up` makes one for the services that it starts",
    )

    @property
    def peer_headers(self) -> dict[str, str]:
        """The headers of requests to our own services."""
        return {TOKEN_HEADER: self.service_token} if self.service_token else {}


class ServiceSettings(PeerSettings):
    """What every service needs, whatever it does."""

    host: str = Field("127.0.0.1", validation_alias="HOST", description="address every service listens on")
    log_level: str = Field("info", validation_alias="LOG_LEVEL", description="debug, info, warning or error")
    shutdown_seconds: float = Field(
        30,
        ge=0,
        validation_alias="SHUTDOWN_SECONDS",
        description="on SIGTERM, how long streams in flight may take to finish",
    )
    deadline_seconds: float = Field(
        120,
        gt=0,
        validation_alias="DEADLINE_SECONDS",
        description="longest a request may take where its caller sets no shorter deadline",
    )
    max_body_bytes: int = Field(
        8 * 1024 * 1024,
        gt=0,
        validation_alias="MAX_BODY_BYTES",
        description="largest request body, of whatever type; larger is a 413 (DATAPREP_MAX_UPLOAD_BYTES is "
        "that of the routes that take files)",
    )
    max_header_bytes: int = Field(
        64 * 1024,
        ge=1024,
        validation_alias="MAX_HEADER_BYTES",
        description="largest head of a request, its line and all headers together; larger is a 431",
    )
    max_headers: int = Field(
        100, ge=16, validation_alias="MAX_HEADERS", description="most headers of a request; more are a 431"
    )
    header_seconds: float = Field(
        20,
        gt=0,
        validation_alias="HEADER_SECONDS",
        description="longest that a connection may take to send a request's head; then it is a 408",
    )
    body_seconds: float = Field(
        30,
        gt=0,
        validation_alias="BODY_SECONDS",
        description="longest silence inside a request's body; then it is a 408",
    )
    max_connections: int = Field(
        2048,
        ge=1,
        validation_alias="MAX_CONNECTIONS",
        description="connections to a service at once; one more closes the one that has asked nothing for "
        "longest, or is a 503 where all are at work; never more than the system has descriptors for",
    )
    hosts: str = Field(
        "",
        validation_alias="SERVICE_HOSTS",
        description="names by which a service other than the gateway may be called, besides addresses, names "
        "without a dot and private ones (.local, .internal, .svc): a.example.org,.b.example.org; * for any",
    )
    admin_port: int = Field(
        0,
        ge=0,
        le=65535,
        validation_alias="ADMIN_PORT",
        description="port of its own for /metrics, /docs and /openapi.json, which are then nowhere else; "
        "`ragline up` gives each service the next one; 0: they are on the service's port",
    )
    tls_cert_file: Path | None = Field(
        None,
        validation_alias="TLS_CERT_FILE",
        description="certificate (PEM, with the chain below its authority) of the service's listeners, "
        "ADMIN_PORT's too, which then speak https alone; read anew when it changes",
    )
    tls_key_file: Path | None = Field(
        None,
        validation_alias="TLS_KEY_FILE",
        description="private key (PEM, without a password) of TLS_CERT_FILE",
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/HTTP collector for traces; empty switches tracing off",
    )

    @property
    def visitors(self) -> Visitors:
        """Who may ask, by the name and the page that a request came by."""
        return Visitors([*self.hosts.split(","), self.host], (), "SERVICE_HOSTS")


class HomeSettings(Settings):
    """Where Ragline keeps files on this machine."""

    home: Path = Field(
        Path("~/.ragline"),
        validation_alias="RAGLINE_HOME",
        description="models, the embedded store, logs and process ids live below this folder",
    )

    disk_free_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        validation_alias="DISK_FREE_BYTES",
        description="bytes that the embedded store and accepted files leave free on their disk; with less, "
        "writes are a 507 and reads go on; deletions go on down to a quarter of it",
    )

    @property
    def root(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def token_file(self) -> Path:
        """The token of the services that `ragline up` starts here, where no `SERVICE_TOKEN` is set."""
        return self.root / "service-token"

    def read_token(self) -> str:
        """Read that token; empty where there is none, or it is not this user's to read."""
        try:
            return self.token_file.read_text("utf-8").strip()
        except OSError:
            return ""

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        return self.root / "run"


def headers_to(url: str) -> dict[str, str]:
    """Make the headers by which one of our services takes a request of a program on this machine for its own.

    They hold `SERVICE_TOKEN`, or for an address of this machine the token of `ragline up`.
    """
    headers = PeerSettings.load().peer_headers
    if headers or not is_loopback(urlsplit(url).hostname or ""):
        return headers
    token = HomeSettings.load().read_token()
    return {TOKEN_HEADER: token} if token else {}


def copy_environment() -> dict[str, str]:
    """Copy this process's environment, for starting child processes; the one reader of `os.environ`.

    What it says by other names stands there by Ragline's own too.
    """
    return {**os.environ, **read_aliases(os.environ)}
