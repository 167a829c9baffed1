"""`/v1/runs` at the gateway: who may read them, what is refused, and a report that can touch nothing."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from tests.contract.conftest import Serve
from tests.contract.tenants_chain import write_key_file
from tests.evaluation_run import ARMS, write_run


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return path, write_key_file(
        path,
        operator={"roles": ["admin"]},
        boss={"tenant": "acme", "roles": ["admin"]},
        asker={"roles": ["ask"]},
    )


@pytest.fixture(scope="module")
def gateway(serve: Serve, keys: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "first", questions=6, arms=ARMS[:2])
    (folder / "first" / "report.html").write_text("<title>A report</title>")
    return serve(create_gateway(Settings(keys_file=keys[0], runs_dir=str(folder))))


ROUTES = ("", "/first", "/first/questions", "/first/questions/logic/logic-000", "/first/report")


def test_only_who_runs_the_gateway_reads_its_runs(gateway: str, keys: tuple[Path, dict[str, str]]) -> None:
    for route in ROUTES:
        url = f"{gateway}/v1/runs{route}"
        assert httpx.get(url).status_code == 401
        for name, status in (("asker", 403), ("boss", 403), ("operator", 200)):
            reply = httpx.get(url, timeout=60, headers={"x-api-key": keys[1][name]})
            assert (name, reply.status_code) == (name, status), reply.text
    assert httpx.post(f"{gateway}/v1/runs", headers={"x-api-key": keys[1]["operator"]}).status_code == 405


def test_a_report_comes_with_a_policy_that_lets_it_touch_nothing(
    gateway: str, keys: tuple[Path, dict[str, str]]
) -> None:
    reply = httpx.get(f"{gateway}/v1/runs/first/report", headers={"x-api-key": keys[1]["operator"]})
    assert reply.text == "<title>A report</title>"
    policy = dict(
        part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";")
    )
    assert policy["sandbox"] == "allow-scripts"
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert "unsafe" not in policy["script-src"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    frame = httpx.get(f"{gateway}/page/report-frame")  # without a key: a browser sends none
    assert "sandbox allow-scripts" in frame.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in frame.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("route", "status", "says"),
    [
        ("/none", 404, "no run 'none'"),
        ("/%2e%2e", 422, "is no name of a run"),
        ("/..%2fother", 404, ""),
        ("/.hidden", 422, "is no name of a run"),
        ("/first%00", 422, "is no name of a run"),
        ("/first/questions?show=nothing", 422, "show"),
        ("/first/questions?limit=0", 422, "limit"),
        ("/first/questions/none", 404, "no question 'none'"),
    ],
)
def test_what_is_not_there_is_refused_in_words(
    gateway: str, keys: tuple[Path, dict[str, str]], route: str, status: int, says: str
) -> None:
    reply = httpx.get(f"{gateway}/v1/runs{route}", headers={"x-api-key": keys[1]["operator"]})
    assert reply.status_code == status, reply.text
    assert says in reply.json()["error"]["message"]


def test_a_gateway_without_a_folder_says_so(serve: Serve) -> None:
    url = serve(create_gateway(Settings(runs_dir="")))
    assert "RUNS_DIR" in httpx.get(f"{url}/v1/runs").json()["detail"]
    assert httpx.get(f"{url}/v1/runs/first").status_code == 404
