"""The token that `ragline up` makes for the services that it starts."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.cli.errors import UsageError
from services.cli.gateway import local_stack, make_token
from services.cli.local.addresses import ROSTER, Addresses
from services.core.settings import headers_to

HEADER = "x-service-token"
MADE = "made"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for spec in ROSTER.values():
        if spec.url_variable:
            monkeypatch.delenv(spec.url_variable, raising=False)
    monkeypatch.delenv("SERVICE_TOKEN", raising=False)
    monkeypatch.setenv("RAGLINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_up_makes_one_that_only_its_user_reads_and_every_command_has_it(home: Path) -> None:
    assert local_stack().headers("retrieval") == {}
    assert not home.exists(), "only what starts services makes one"
    token = local_stack(makes_token=True).headers("retrieval")[HEADER]
    assert len(token) >= 40
    assert stat.S_IMODE((home / "service-token").stat().st_mode) == 0o600
    for stack in (local_stack(), local_stack(makes_token=True)):
        assert {name: stack.headers(name) for name in ROSTER} == {name: {HEADER: token} for name in ROSTER}


def test_several_that_start_at_once_have_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: make_token(tmp_path / "new" / "service-token"), range(16)))
    assert len(made) == 1


def test_it_is_in_the_environment_of_every_service_and_one_of_the_user_s_wins() -> None:
    own = Addresses({}, {}, {}, {}, token=MADE)
    assert {own.environment(name)["SERVICE_TOKEN"] for name in ROSTER} == {MADE}
    users = Addresses({"SERVICE_TOKEN": "theirs"}, {}, {}, {}, token=MADE)
    assert all("SERVICE_TOKEN" not in users.environment(name) for name in ROSTER)
    assert users.headers("retrieval") == {HEADER: "theirs"}


def test_a_service_of_somebody_else_s_gets_none_but_the_user_s_own() -> None:
    elsewhere = {"EMBEDDING_URL": "https://tei.example.org"}
    own = Addresses(elsewhere, {}, {}, {}, token=MADE)
    assert (own.headers("embedding"), own.headers("retrieval")) == ({}, {HEADER: MADE})
    users = Addresses({**elsewhere, "SERVICE_TOKEN": "theirs"}, {}, {}, {}, token=MADE)
    assert users.headers("embedding") == {HEADER: "theirs"}


def test_a_program_of_this_machine_finds_it_for_its_addresses_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert headers_to("http://127.0.0.1:7000") == {}
    token = make_token(home / "service-token")
    for url in ("http://127.0.0.1:7000", "http://localhost:7000", "http://[::1]:7000"):
        assert headers_to(url) == {HEADER: token}
    for url in ("http://tei.example.org", "http://10.0.0.1:7000", "nonsense"):
        assert headers_to(url) == {}
    monkeypatch.setenv("SERVICE_TOKEN", "theirs")
    assert headers_to("http://10.0.0.1:7000") == {HEADER: "theirs"}


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="set RAGLINE_HOME to another folder"):
        make_token(tmp_path / "file" / "service-token")
