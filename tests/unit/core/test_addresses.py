"""Addresses of stores: what they name, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.addresses import AddressSetting, RedisAddress, StoreAddress, split_address
from services.core.errors import InvalidRequest

QUIET = AddressSetting(
    "JOBS_URL", "the job store", examples="sqlite: or redis://host", logins="REDIS_PASSWORD"
)
OPEN = AddressSetting(
    "VECTOR_URL", "the vector store", "edge: or qdrant://host", "QDRANT_API_KEY", repeats=True
)


def test_an_address_is_split_into_decoded_parts():
    parts = split_address("redis://us%65r:p%40ss@[::1]:7000/a%20b?tls=true")
    assert (parts.scheme, parts.host, parts.port, parts.path) == ("redis", "::1", 7000, "/a b")
    assert (parts.username, parts.password, parts.options) == ("user", "p@ss", {"tls": "true"})
    assert "p@ss" not in repr(parts)


@pytest.mark.parametrize(
    ("setting", "text", "message"),
    [
        (QUIET, "redis://h:port", "JOBS_URL is not a URL: Port could not be cast to integer value as 'port'"),
        (QUIET, "redis://[::1", "JOBS_URL is not a URL: Invalid IPv6 URL"),
        (QUIET, "/srv", "JOBS_URL has no scheme: write sqlite: or redis://host"),
        (OPEN, "/srv", "VECTOR_URL='/srv' has no scheme: write edge: or qdrant://host"),
        (OPEN, "qdrant://[::1", "VECTOR_URL='qdrant://[::1' is not a URL: Invalid IPv6 URL"),
        (
            QUIET,
            "redis://user:sesame@h",
            "JOBS_URL must not carry a user or password: set REDIS_PASSWORD instead",
        ),
    ],
)
def test_a_wrong_address_says_how_it_must_look(setting, text, message):
    with pytest.raises(InvalidRequest) as caught:
        StoreAddress.parse(setting, text)
    assert caught.value.message == message


def test_a_folder_is_named_by_the_path_alone(tmp_path):
    assert StoreAddress.parse(QUIET, f"sqlite://{tmp_path}/a%20b").directory == tmp_path / "a b"
    assert StoreAddress.parse(QUIET, "sqlite:rel/dir").directory == Path("rel/dir").resolve()
    assert StoreAddress.parse(QUIET, "sqlite:").directory is None
    with pytest.raises(InvalidRequest, match=r"JOBS_URL names the host 'srv': .* sqlite:///path/to/dir"):
        _ = StoreAddress.parse(QUIET, "sqlite://srv/jobs").directory


def test_a_redis_is_named_by_a_stores_address():
    address = RedisAddress.of(StoreAddress.parse(QUIET, "rediss://db:7000/4"))
    assert address == RedisAddress("JOBS_URL", "the job store", "db", 7000, 4, tls=True)
    assert address.where == "the job store (Redis at db:7000, JOBS_URL)"
    with pytest.raises(InvalidRequest, match="JOBS_URL must look like redis://host:6379/0"):
        RedisAddress.of(StoreAddress.parse(QUIET, "redis://db/four"))


def test_a_login_in_a_redis_url_is_taken_only_where_it_may_be():
    address = RedisAddress.parse("CACHE_URL", "the cache", "redis://user:sesame@db", login=True)
    assert (address.username, address.password, address.has_login) == ("user", "sesame", True)
    assert "sesame" not in repr(address)
    assert not RedisAddress.parse("CACHE_URL", "the cache", "redis://db", login=True).has_login


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
