"""What can go wrong with a Redis server, as our errors; and how its URL must look."""

from __future__ import annotations

import pytest
import redis.exceptions as failures

from services.core.errors import InvalidRequest, ServiceError, ServiceUnavailable
from services.core.redis import RedisAddress, translate

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://host", ("host", 6379, 0, False)),
        ("rediss://host:7000/4", ("host", 7000, 4, True)),
        ("redis://[::1]:6379/0", ("::1", 6379, 0, False)),
    ],
)
def test_a_url_names_host_port_database_and_tls(text, expected):
    address = RedisAddress.parse("JOBS_URL", "the job store", text)
    assert (address.host, address.port, address.db, address.tls) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://host", "must look like redis://host:6379/0"),
        ("redis:///0", "must look like"),
        ("redis://host/x", "must look like"),
        ("redis://host:port", "must look like"),
        ("redis://user:sesame@host", "set REDIS_USERNAME and REDIS_PASSWORD"),
    ],
)
def test_any_other_url_is_refused_without_repeating_a_password(text, says):
    with pytest.raises(InvalidRequest, match=f"JOBS_URL {says}|JOBS_URL .*{says}") as caught:
        RedisAddress.parse("JOBS_URL", "the job store", text)
    assert "sesame" not in caught.value.message
