"""Keys at the gateway's door: which are let in, how they are sent, and a file of keys that changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.cli.commands.keys import revoke_key
from services.cli.commands.status import show_status
from services.cli.console import Output
from services.cli.local.process import ServiceRecord, started_at
from services.cli.local.stack import Stack
from services.gateway.access.keys import Key, KeyList, hash_key, make_key, read_keys, write_keys
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from tests.contract.conftest import Serve
from tests.contract.tenants_chain import ENTRIES, write_key_file

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def keys(path: Path) -> dict[str, str]:
    return write_key_file(
        path,
        asker={"roles": ["ask"]},
        second={"roles": ["ask"]},
        expired={"roles": ["ask"], "expires": NOW - timedelta(seconds=1)},
        later={"roles": ["ask"], "expires": NOW + timedelta(hours=1)},
        revoked={"roles": ["admin"], "revoked": NOW - timedelta(days=1)},
        putter={"roles": ["ingest"]},
        operator={"roles": ["admin"]},
        tenant={"tenant": "acme", "roles": ["admin"]},
    )


@pytest.fixture(scope="module")
def gateway(serve: Serve, path: Path, keys: dict[str, str]) -> str:
    """A gateway whose services are down: who is let in gets a 503, never a 401 or 403."""
    return serve(create_gateway(Settings(keys_file=path, generation_url="http://127.0.0.1:9")))


def models(gateway: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{gateway}/v1/models", headers=headers)


@pytest.mark.parametrize("name", ["asker", "second", "later"])
def test_a_valid_key_is_let_in_however_it_is_sent(gateway: str, keys: dict[str, str], name: str) -> None:
    key = keys[name]
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key}"},
        {"x-api-key": key},
        {"api-key": key},
        {"authorization": "Basic eDp5", "x-api-key": key},
    ):
        assert models(gateway, **headers).status_code == 503


def test_without_a_key_nobody_is_let_in(gateway: str) -> None:
    reply = models(gateway)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="ragline"'
    assert reply.json()["error"]["code"] == "unauthorized"
    assert "Authorization: Bearer" in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["expired", "revoked"])
def test_a_key_that_was_valid_says_why_it_is_not(gateway: str, keys: dict[str, str], name: str) -> None:
    reply = models(gateway, authorization=f"Bearer {keys[name]}")
    assert reply.status_code == 401
    assert name in reply.json()["error"]["message"]
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]


def test_what_is_no_key_is_refused(gateway: str, keys: dict[str, str], path: Path) -> None:
    key = keys["asker"]
    listed = read_keys(path).keys[0]
    for wrong in (key[:-1], key + "x", key.upper(), listed.hash, listed.id, "rl_", "é" * 9, "x" * 5000):
        for name in ("authorization", "x-api-key"):
            value = f"Bearer {wrong}" if name == "authorization" else wrong
            reply = httpx.get(f"{gateway}/v1/models", headers={name: value.encode()})
            assert reply.status_code == 401
            assert wrong not in reply.text


def test_a_role_that_is_missing_is_named(gateway: str, keys: dict[str, str]) -> None:
    reply = models(gateway, authorization=f"Bearer {keys['putter']}")
    assert reply.status_code == 403
    assert "'ask'" in reply.json()["error"]["message"]


@pytest.mark.parametrize("route", ["/nowhere", "/metrics", "/docs", "//v1/models", "/v1", "/v1/modelsx"])
def test_what_is_not_listed_is_closed(gateway: str, keys: dict[str, str], route: str) -> None:
    assert httpx.get(gateway + route).status_code == 401
    assert httpx.get(gateway + route, headers={"x-api-key": keys["asker"]}).status_code == 403


def test_health_needs_no_key(gateway: str) -> None:
    assert httpx.get(f"{gateway}/health").status_code == 200
    assert httpx.get(f"{gateway}/health/ready").status_code == 503


def test_what_the_gateway_waits_for_is_told_to_its_operator_alone(gateway: str, keys: dict[str, str]) -> None:
    """Addresses, paths and models are nobody else's to know; whether it is ready is for every probe."""
    for name in ("", "asker", "putter", "tenant", "expired", "revoked"):
        headers = {"x-api-key": keys[name]} if name else {}
        reply = httpx.get(f"{gateway}/health/ready", headers=headers)
        state = reply.json()["dependencies"]["generation"]
        assert (reply.status_code, state["ready"], state["detail"]) == (503, False, ""), name
        assert "127.0.0.1" not in reply.text
    told = httpx.get(f"{gateway}/health/ready", headers={"x-api-key": keys["operator"]})
    assert "127.0.0.1:9" in told.json()["dependencies"]["generation"]["detail"]


def test_a_key_that_is_added_or_revoked_counts_at_once(
    gateway: str, path: Path, keys: dict[str, str]
) -> None:
    new = make_key()
    listed = read_keys(path).keys
    key = Key(hash=hash_key(new), name="new", roles=["ask"])
    write_keys(path, KeyList(keys=[*listed, key]))
    assert models(gateway, authorization=f"Bearer {new}").status_code == 503
    revoke_key(path, key.id)
    assert models(gateway, authorization=f"Bearer {new}").status_code == 401
    assert models(gateway, authorization=f"Bearer {keys['asker']}").status_code == 503


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": [{"hash": "x"}]}', b'{"keis": []}', None])
def test_a_broken_file_leaves_the_last_good_one_in_force(
    gateway: str, path: Path, keys: dict[str, str], content: bytes | None
) -> None:
    good = path.read_bytes()
    try:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        assert models(gateway, authorization=f"Bearer {keys['asker']}").status_code == 503
        assert models(gateway, authorization="Bearer x").status_code == 401
        state = httpx.get(f"{gateway}/health/ready").json()["dependencies"]["keys"]
        assert (state["ready"], state["required"], state["detail"]) == (False, False, "")
        operator = {"x-api-key": keys["operator"]}
        state = httpx.get(f"{gateway}/health/ready", headers=operator).json()["dependencies"]["keys"]
        assert str(path) in state["detail"]
    finally:
        path.write_bytes(good)
    assert httpx.get(f"{gateway}/health/ready").json()["dependencies"]["keys"]["ready"]


def test_a_gateway_without_keys_asks_nobody(serve: Serve) -> None:
    open_ = serve(create_gateway(Settings(generation_url="http://127.0.0.1:9")))
    for headers in ({}, {"authorization": "Bearer whatever"}):
        assert models(open_, **headers).status_code == 503
    assert httpx.get(f"{open_}/metrics").status_code == 200


def test_a_file_that_is_broken_at_the_start_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ragline keys create"):
        Settings(keys_file=tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"keys": [{"hash": "0", "roles": []}]}')
    with pytest.raises(ValueError, match=r"keys\.0\.hash"):
        Settings(keys_file=tmp_path / "bad.json")


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},  # noqa: S104
        {"host": "::"},
        {"host": "192.168.1.5"},
        {"host": "rag.example.com"},
        {"host": "0.0.0.0", "published": "0.0.0.0"},  # noqa: S104
        {"host": "127.0.0.1", "published": "10.0.0.1"},
    ],
)
def test_without_keys_it_listens_on_this_machine_alone(
    settings: dict[str, str], path: Path, keys: object
) -> None:
    with pytest.raises(ValueError, match=r"ragline keys create.*GATEWAY_ACCESS=open"):
        Settings(**settings)
    assert Settings(**settings, keys_file=path).access_mode == "keys"
    assert Settings(**settings, access="open").access_mode == "open"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "127.0.0.2"},
        {"host": "::1"},
        {"host": "localhost"},
        {"host": "0.0.0.0", "published": "127.0.0.1"},  # noqa: S104
        {"host": "0.0.0.0", "published": "[::1]"},  # noqa: S104
    ],
)
def test_this_machine_alone_needs_no_key(settings: dict[str, str]) -> None:
    assert Settings(**settings).access_mode == "loopback"


def test_open_and_keys_at_once_is_refused(path: Path, keys: object) -> None:
    with pytest.raises(ValueError, match="drop one of them"):
        Settings(keys_file=path, access="open")


def test_an_open_gateway_says_so(serve: Serve) -> None:
    generation = serve(create_generation(GenerationSettings(backends=ENTRIES)))
    for access, mode in (("open", "open"), ("", "loopback")):
        url = serve(create_gateway(Settings(access=access, generation_url=generation)))
        assert models(url).json()["access"] == mode
        notices = httpx.get(f"{url}/health/ready").json()["notices"]
        assert [("may read and delete" in notice) for notice in notices] == [True] * (mode == "open")


def test_status_repeats_what_the_gateway_says(
    serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = serve(create_gateway(Settings(access="open", generation_url="http://127.0.0.1:9")))
    stack = Stack(tmp_path, {}, {})
    with stack._state.change() as state:
        state.services["gateway"] = ServiceRecord(
            pid=os.getpid(), started=started_at(os.getpid()), port=int(url[-5:])
        )
    show_status(Stack(tmp_path, {}), Output.standard())
    told = capsys.readouterr()
    assert "GATEWAY_ACCESS=open" in told.out + told.err
