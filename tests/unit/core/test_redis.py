"""How a Redis server is logged in to, and what can go wrong with it, as our errors."""

from __future__ import annotations

import pytest
import redis.exceptions as failures
from pydantic import SecretStr

from services.core.addresses import RedisAddress
from services.core.errors import ServiceError, ServiceUnavailable
from services.core.redis import RedisSettings, connect, translate

ADDRESS = RedisAddress("JOBS_URL", "the job store", "db", 6380, 3)
WHERE = "the job store (Redis at db:6380, JOBS_URL)"


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (failures.AuthenticationError("WRONGPASS invalid"), ServiceError, "set REDIS_PASSWORD"),
        (failures.ResponseError("NOAUTH Authentication required."), ServiceError, "set REDIS_PASSWORD"),
        (failures.NoPermissionError("no permissions"), ServiceError, "REDIS_USERNAME"),
        (failures.BusyLoadingError("Redis is loading"), ServiceUnavailable, "still loading its data"),
        (failures.ReadOnlyError("replica"), ServiceUnavailable, "name its primary"),
        (failures.OutOfMemoryError("x"), ServiceUnavailable, "`maxmemory`"),
        (failures.ResponseError("OOM command not allowed"), ServiceUnavailable, "`maxmemory`"),
        (failures.ResponseError("MISCONF errors writing"), ServiceUnavailable, "cannot write to its disk"),
        (failures.ResponseError("BUSY Redis is busy"), ServiceUnavailable, "cannot answer now: BUSY"),
        (failures.ConnectionError("refused"), ServiceUnavailable, "does not answer: refused"),
        (failures.TimeoutError("slow"), ServiceUnavailable, "does not answer: slow"),
        (OSError("no route"), ServiceUnavailable, "does not answer: no route"),
        (failures.ResponseError("DB index is out of range"), ServiceError, "no database 3.*JOBS_URL"),
        (failures.ResponseError("ERR odd"), ServiceError, "could not take a job: ERR odd"),
    ],
)
def test_a_failure_is_named_with_the_setting_that_names_the_server(error, kind, says):
    translated = translate(error, ADDRESS, "take a job")
    assert type(translated) is kind
    with pytest.raises(kind, match=says):
        raise translated
    assert translated.message.startswith(WHERE)


async def login(text: str, settings: RedisSettings) -> tuple[object, ...]:
    """The user, password and authority that a client of the address would use."""
    client = connect(RedisAddress.parse("CACHE_URL", "the cache", text, login=True), settings, retries=0)
    options = client.connection_pool.connection_kwargs
    await client.aclose()
    return options["username"], options["password"], options.get("ssl_ca_certs")


async def test_the_settings_log_in_unless_the_address_says_how():
    settings = RedisSettings(username="app", password=SecretStr("sesame"), ca_file="/ca.pem")
    assert await login("redis://db", settings) == ("app", "sesame", None)
    assert await login("rediss://db", settings) == ("app", "sesame", "/ca.pem")
    assert await login("redis://:own%40@db", settings) == (None, "own@", None)
    assert await login("redis://db", RedisSettings()) == (None, None, None)
