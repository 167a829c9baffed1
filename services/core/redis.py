"""A Redis that a setting names: a client for it, and its failures as our errors.

For services whose extra brings `redis`; nothing else imports this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.exceptions as failures
from pydantic import Field, SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.core.addresses import RedisAddress
from services.core.context import within_deadline
from services.core.errors import RaglineError, ServiceError, ServiceUnavailable
from services.core.settings import Settings

CONNECT_SECONDS = 5.0


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


def connect(
    address: RedisAddress,
    settings: RedisSettings | None = None,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    retries: int = 1,
) -> Redis:
    """Make a client that connects at first use and after a failure; replies are bytes, in RESP2's shapes.

    A command is sent again `retries` times, because a pooled connection may have been closed meanwhile: send
    only what may be repeated. Deadlines are the caller's, and so is cancelling: with a timeout of its own the
    client sends through `asyncio.wait_for`, which before Python 3.12 may take a cancellation for the reply it
    waited for.

    Args:
        address: Where the server is. A user or password in it stands in place of the settings'.
        settings: How to log in; None reads them from the environment.
        connect_seconds: The longest that connecting may take.
        retries: How often a command is sent again after a failure of the connection.

    Returns:
        The client; the caller closes it.
    """
    login = settings or RedisSettings.load()
    return Redis(
        host=address.host,
        port=address.port,
        db=address.db,
        username=(address.username if address.has_login else login.username) or None,
        password=(address.password if address.has_login else login.password.get_secret_value()) or None,
        ssl=address.tls,
        ssl_ca_certs=(login.ca_file or None) if address.tls else None,
        protocol=2,
        retry=Retry(NoBackoff(), retries),
        socket_connect_timeout=connect_seconds,
        socket_timeout=None,
    )


@asynccontextmanager
async def redis_call(address: RedisAddress, what: str, *, service: str) -> AsyncIterator[None]:
    """Send commands within the request's deadline, and raise their failures as our errors.

    Args:
        address: The server, for the errors.
        what: What the server should do, as in "could not {what}".
        service: The service that asks.

    Raises:
        RaglineError: See `translate`.
    """
    try:
        async with within_deadline(f"{address.where}: the reply ({what})", service=service):
            yield
    except (failures.RedisError, OSError) as error:
        raise translate(error, address, what) from error


def translate(error: Exception, address: RedisAddress, what: str) -> RaglineError:
    """The error of the tree for a failure that happened while the server should `what`."""
    where, message = address.where, str(error)
    begins = {message.split(" ", 1)[0]}
    logged_in = not isinstance(error, failures.AuthenticationError) and not begins & {"NOAUTH", "WRONGPASS"}
    forbidden = (failures.NoPermissionError, failures.AuthorizationError)
    gone = (failures.ConnectionError, failures.TimeoutError, OSError)
    if not logged_in:
        translated: RaglineError = ServiceError(
            f"{where} refuses the user or password: set REDIS_PASSWORD, and REDIS_USERNAME where it has users"
        )
    elif isinstance(error, forbidden) or "NOPERM" in begins:
        translated = ServiceError(
            f"{where} does not let its user {what}: give REDIS_USERNAME the right ({message})"
        )
    elif isinstance(error, failures.BusyLoadingError) or "LOADING" in begins:
        translated = ServiceUnavailable(f"{where} is still loading its data", retry_after=1)
    elif isinstance(error, failures.ReadOnlyError) or "READONLY" in begins:
        translated = ServiceUnavailable(f"{where} is a replica that cannot write: name its primary")
    elif isinstance(error, failures.OutOfMemoryError) or "OOM command" in message:
        translated = ServiceUnavailable(f"{where} has reached its `maxmemory`: raise it, or delete documents")
    elif begins & {"BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN"}:
        translated = ServiceUnavailable(f"{where} cannot answer now: {message}", retry_after=1)
    elif "MISCONF" in begins:
        translated = ServiceUnavailable(f"{where} cannot write to its disk: {message}")
    elif isinstance(error, gone):
        translated = ServiceUnavailable(f"{where} does not answer: {message}")
    elif "DB index" in message:
        translated = ServiceError(
            f"{where} has no database {address.db}: change the number in {address.variable}"
        )
    else:
        translated = ServiceError(f"{where} could not {what}: {message}")
    return translated
