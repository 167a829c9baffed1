"""A Redis that a setting names: its address, a client for it, and its failures as our errors.

For services whose extra brings `redis`; nothing else imports this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import redis.exceptions as failures
from pydantic import Field, SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.core.context import within_deadline
from services.core.errors import InvalidRequest, RaglineError, ServiceError, ServiceUnavailable
from services.core.settings import Settings

CONNECT_SECONDS = 5.0
_EXAMPLE = "must look like redis://host:6379/0, or rediss:// for TLS"


class RedisSettings(Settings):
    """How to log in to a Redis server, whichever setting names it."""

    username: str = Field(
        "", validation_alias="REDIS_USERNAME", description="user at the Redis server; empty: its default one"
    )
    password: SecretStr = Field(
        SecretStr(""), validation_alias="REDIS_PASSWORD", description="password at the Redis server"
    )
    ca_file: str = Field(
        "",
        validation_alias="REDIS_CA_FILE",
        description="certificate authority of a rediss:// server, a PEM file; empty: the system's",
    )


@dataclass(frozen=True)
class RedisAddress:
    """Where the Redis is; `variable` is the setting that says so, and `role` what it is used as."""

    variable: str
    role: str
    host: str
    port: int = 6379
    db: int = 0
    tls: bool = False

    @classmethod
    def parse(cls, variable: str, role: str, text: str) -> Self:
        """Of `redis://host:port/db` or `rediss://`. Raises `InvalidRequest` that says what is wrong."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidRequest(f"{variable} {_EXAMPLE}: {error}") from None
        if parts.username or parts.password:
            raise InvalidRequest(
                f"{variable} must not carry a user or password: set REDIS_USERNAME and REDIS_PASSWORD instead"
            )
        return cls.of(variable, role, parts.scheme, parts.hostname or "", port, parts.path)

    @classmethod
    def of(cls, variable: str, role: str, scheme: str, host: str, port: int | None, path: str) -> Self:  # noqa: PLR0917
        """Of a URL's parts."""
        db = path.strip("/") or "0"
        if scheme not in {"redis", "rediss"} or not host or not db.isdecimal():
            raise InvalidRequest(f"{variable} {_EXAMPLE}")
        return cls(variable, role, host, port or 6379, int(db), scheme == "rediss")

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.role} (Redis at {self.host}:{self.port}, {self.variable})"


def connect(address: RedisAddress, settings: RedisSettings | None = None) -> Redis:
    """A client that connects at first use and again after a failure; replies are bytes, in RESP2's shapes.

    A command is tried twice, because a pooled connection may have been closed meanwhile: send only what may
    be repeated. Deadlines are the caller's, and so is cancelling: with a timeout of its own the client sends
    through `asyncio.wait_for`, which before Python 3.12 may take a cancellation for the reply it waited for.
    """
    found = settings or RedisSettings.load()
    return Redis(
        host=address.host,
        port=address.port,
        db=address.db,
        username=found.username or None,
        password=found.password.get_secret_value() or None,
        ssl=address.tls,
        ssl_ca_certs=(found.ca_file or None) if address.tls else None,
        protocol=2,
        retry=Retry(NoBackoff(), 1),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=None,
    )


@asynccontextmanager
async def calling(address: RedisAddress, what: str, *, service: str) -> AsyncIterator[None]:
    """Commands to the server, within the request's deadline, their failures as our errors."""
    try:
        async with within_deadline(f"{address.where}: the reply ({what})", service=service):
            yield
    except (failures.RedisError, OSError) as error:
        raise translate(error, address, what) from error


def translate(error: Exception, address: RedisAddress, what: str) -> RaglineError:
    """The error of the tree for a failure that happened while the server should `what`."""
    where, said = address.where, str(error)
    begins = {said.split(" ", 1)[0]}
    logged_in = not isinstance(error, failures.AuthenticationError) and not begins & {"NOAUTH", "WRONGPASS"}
    forbidden = (failures.NoPermissionError, failures.AuthorizationError)
    gone = (failures.ConnectionError, failures.TimeoutError, OSError)
    if not logged_in:
        found: RaglineError = ServiceError(
            f"{where} refuses the user or password: set REDIS_PASSWORD, and REDIS_USERNAME where it has users"
        )
    elif isinstance(error, forbidden) or "NOPERM" in begins:
        found = ServiceError(f"{where} does not let its user {what}: give REDIS_USERNAME the right ({said})")
    elif isinstance(error, failures.BusyLoadingError) or "LOADING" in begins:
        found = ServiceUnavailable(f"{where} is still loading its data", retry_after=1)
    elif isinstance(error, failures.ReadOnlyError) or "READONLY" in begins:
        found = ServiceUnavailable(f"{where} is a replica that cannot write: name its primary")
    elif isinstance(error, failures.OutOfMemoryError) or "OOM command" in said:
        found = ServiceUnavailable(f"{where} has reached its `maxmemory`: raise it, or delete documents")
    elif begins & {"BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN"}:
        found = ServiceUnavailable(f"{where} cannot answer now: {said}", retry_after=1)
    elif "MISCONF" in begins:
        found = ServiceUnavailable(f"{where} cannot write to its disk: {said}")
    elif isinstance(error, gone):
        found = ServiceUnavailable(f"{where} does not answer: {said}")
    elif "DB index" in said:
        found = ServiceError(f"{where} has no database {address.db}: change the number in {address.variable}")
    else:
        found = ServiceError(f"{where} could not {what}: {said}")
    return found
