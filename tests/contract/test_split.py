"""`/v1/split` at the gateway: who gets which entry, how that is said and counted, and what a restart changes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from services.core.errors import Conflict, ServiceUnavailable
from services.core.wire.split import LiveSplit
from services.gateway.app import create
from services.gateway.settings import Settings
from services.gateway.split import router as split_router
from services.gateway.split.shares import choose_entry
from services.gateway.split.state import SplitStore, open_store
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from tests.command_line import call_ragline
from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway
from tests.contract.tenants_chain import Tenant, write_key_file
from tests.ports import free_port
from tests.redis_server import RedisServer

ENTRIES = ["large", "broken"]
DOWN = f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("split")


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine, folder: Path) -> str:
    return start_gateway(serve, engine, ENTRIES, split="large=50", split_url=f"file://{folder}")


@pytest.fixture
def split(url: str) -> AsyncIterator[Callable[..., httpx.Response]]:
    """Set the live split; it is ended afterwards."""
    yield lambda **body: httpx.put(f"{url}/v1/split", json=body, timeout=30)
    httpx.delete(f"{url}/v1/split", timeout=30).raise_for_status()


def ask(url: str, question: str = QUESTION, *, conversation: str = "", **fields: Any) -> httpx.Response:
    headers = {"x-conversation-id": conversation} if conversation else {}
    body = {"messages": [{"role": "user", "content": question}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def test_a_conversation_has_one_entry_and_the_reply_says_who_chose(url: str) -> None:
    entries = set()
    for number in range(6):
        replies = [ask(url, f"{QUESTION} {n}", conversation=f"c{number}") for n in range(2)]
        models = {reply.json()["model"] for reply in replies}
        assert len(models) == 1, "both questions of a conversation go to one entry"
        assert {reply.json()["routed_by"] for reply in replies} == {"split"}
        assert {reply.headers["x-ragline-routed-by"] for reply in replies} == {"split"}
        entries |= models
    assert entries == {"small", "large"}


def test_the_other_doors_go_the_same_way(url: str, split: Callable[..., httpx.Response]) -> None:
    assert split(shares={"large": 100}).status_code == 200
    turn = {"messages": [{"role": "user", "content": QUESTION}]}
    for path, body in {
        "/v1/chat/completions": {**turn, "stream": True},
        "/v1/completions": {"prompt": QUESTION},
        "/v1/responses": {"input": QUESTION},
        "/v1/chatqna": {"messages": QUESTION, "stream": False},
    }.items():
        reply = httpx.post(url + path, json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-ragline-routed-by"] == "split", path
        assert "large" in reply.text, path
    assert '"routed_by":"split"' in ask(url, stream=True).text


def test_who_names_a_model_and_a_comparison_are_left_alone(
    url: str, split: Callable[..., httpx.Response]
) -> None:
    split(shares={"large": 100})
    reply = ask(url, model="small")
    assert reply.json()["model"] == "small"
    assert "routed_by" not in reply.json()
    assert "x-ragline-routed-by" not in reply.headers
    compared = httpx.post(
        f"{url}/v1/compare",
        json={"question": QUESTION, "arms": [{"model": "small"}, {"model": "large"}]},
        timeout=60,
    )
    assert [arm["model"] for arm in compared.json()["arms"]] == ["small", "large"]


def test_it_goes_from_nothing_to_everything_and_back(url: str, split: Callable[..., httpx.Response]) -> None:
    split(shares={})
    assert "routed_by" not in ask(url).json(), "no split, nobody is routed"
    split(shares={"large": 100}, why="the last step")
    assert {ask(url, conversation=f"c{n}").json()["model"] for n in range(4)} == {"large"}
    seen = httpx.get(f"{url}/v1/split").json()
    assert (seen["shares"], seen["configured"], seen["overrides"]) == ({"large": 100}, {"large": 50}, True)
    assert seen["live"]["why"] == "the last step"
    httpx.delete(f"{url}/v1/split")
    after = httpx.get(f"{url}/v1/split").json()
    assert (after["shares"], after["overrides"], after.get("live")) == ({"large": 50}, False, None)


def test_what_cannot_be_is_refused_by_name(url: str, split: Callable[..., httpx.Response]) -> None:
    for body, said in (
        ({"shares": {"huge": 10}}, "shares: no model entry huge: choose from broken, large, small"),
        ({"shares": {"large": 60, "broken": 50}}, "110 is over 100"),
        ({"shares": {"large": -1}}, "large=-1: a share is a percentage"),
        ({"shares": {"large": 1}, "revision": 99}, "somebody else has changed the split"),
        ({"share": {}}, "share"),
    ):
        refused = split(**body)
        assert 400 <= refused.status_code < 500, body
        assert said in refused.json()["error"]["message"]


def test_a_fallback_answers_for_the_entry_of_the_split(serve: Callable[[ASGIApp], str], folder: Path) -> None:
    entries = [
        {"name": "small", "engine": "fake", "model_id": "fake"},
        {"name": "down", "engine": "openai", "endpoint": DOWN, "model_id": "m", "fallback": ["small"]},
    ]
    generation = serve(create_generation(GenerationSettings(backends=json.dumps(entries))))
    url = start_gateway(
        serve, ScriptedEngine(), [], generation_url=generation, split="down=100", split_url="off"
    )
    reply = ask(url)
    assert reply.json()["model"] == "small"
    assert reply.json()["routed_by"] == "split"
    assert reply.headers["x-ragline-fallback"] == "down -> small"


def test_requests_are_counted_by_entry(url: str, split: Callable[..., httpx.Response]) -> None:
    def counted() -> float:
        text = httpx.get(f"{url}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("ragline_split_requests_total{")]
        return sum(float(line.split()[-1]) for line in lines if 'model="large"' in line)

    split(shares={"large": 100})
    before = counted()
    ask(url)
    ask(url, model="small")
    assert counted() == before + 1


def test_an_entry_that_is_gone_gets_nothing_and_is_said(
    serve: Callable[[ASGIApp], str], tmp_path: Path
) -> None:
    url = start_gateway(
        serve, ScriptedEngine(), ["large"], split="gone=100,large=0", split_url=f"file://{tmp_path}"
    )
    assert httpx.get(f"{url}/v1/split").json()["unknown"] == ["gone"]
    assert ask(url).json()["model"] == "small"
    ready = httpx.get(f"{url}/health/ready").json()["dependencies"]["split"]
    assert not ready["ready"]
    assert "no model entry gone" in ready["detail"]


def test_only_an_operator_changes_it(serve: Callable[[ASGIApp], str], tmp_path: Path) -> None:
    keys = write_key_file(
        tmp_path / "keys.json",
        asker={"roles": ["ask"]},
        admin={"tenant": "acme", "roles": ["admin"]},
        operator={"roles": ["admin"]},
    )
    url = start_gateway(
        serve, ScriptedEngine(), ["large"], keys_file=tmp_path / "keys.json", split_url=f"file://{tmp_path}"
    )
    body = {"shares": {"large": 5}}
    for name, status in {"asker": 403, "admin": 403, "operator": 200}.items():
        assert Tenant(url, keys[name]).ask("PUT", "/v1/split", json=body).status_code == status, name
    seen = Tenant(url, keys["asker"]).ask("GET", "/v1/split").json()
    assert seen["live"]["by"] == "operator"


@pytest.fixture(params=["file", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SplitStore]:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.flush()
        store = open_store(f"redis://127.0.0.1:{server.port}/0")
    else:
        store = open_store(f"file://{tmp_path}")
    yield store
    await store.close()


def make_split(revision: int, share: float = 5) -> LiveSplit:
    return LiveSplit(shares={"large": share}, revision=revision, at=datetime.now(UTC))


async def test_of_many_writes_of_one_revision_one_counts(store: SplitStore) -> None:
    assert await store.read() is None
    outcomes = await asyncio.gather(
        *(store.write(make_split(1, share)) for share in range(8)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not None)
    kept = await store.read()
    assert kept is not None
    assert kept.shares == {"large": float(outcomes.index(None))}
    await store.write(make_split(2))


async def test_a_damaged_state_is_said(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(ServiceUnavailable, match=r"split\.json is damaged: delete it"):
        await open_store(f"file://{tmp_path}").read()
    with pytest.raises(Conflict, match="SPLIT_URL to a Redis"):
        await open_store("off").write(make_split(1))


def test_another_gateway_follows_and_a_restart_changes_nothing(
    serve: Callable[[ASGIApp], str],
    url: str,
    folder: Path,
    split: Callable[..., httpx.Response],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split_router, "REFRESH_SECONDS", 0.05)
    app = create(Settings(split="large=50", split_url=f"file://{folder}"))
    serve(app)
    assert app.state.split.shares == {"large": 50}
    split(shares={"large": 99}, why="a step")
    until = time.monotonic() + 60
    while app.state.split.shares != {"large": 99}:
        assert time.monotonic() < until
        time.sleep(0.01)
    started_later = serve(create(Settings(split="large=1", split_url=f"file://{folder}")))
    assert httpx.get(f"{started_later}/v1/split").json()["shares"] == {"large": 99}


def test_the_command_shows_sets_and_ends_it(url: str, split: Callable[..., httpx.Response]) -> None:
    env = {**os.environ, "RAGLINE_URL": url}
    split(shares={"large": 5}, why="a look")
    shown = call_ragline("split", env=env)
    assert "split: large 5 % of the conversations that name no model" in shown.stdout
    assert ": a look\n" in shown.stdout
    assert "in place of LLM_SPLIT, which says large=50; 'ragline split --end' returns to it" in shown.stdout

    assert "split: large 20 %, broken 1 %" in call_ragline("split", "large=20", "broken=1", env=env).stdout
    assert "split: large 20 %" in call_ragline("models", env=env).stdout
    for arguments, said in (
        (["large=200"], "large=200: a share is a percentage"),
        (["huge=1"], "no model entry huge: choose from broken, large, small"),
        (["large=1", "--end"], "give shares or --end, not both"),
    ):
        refused = call_ragline("split", *arguments, env=env)
        assert refused.returncode
        assert said in refused.stderr
    ended = call_ragline("split", "--end", env=env).stdout
    assert "split: large 50 % of the conversations that name no model, the rest to the default entry" in ended
    assert "set live" not in ended


def test_no_question_fails_while_the_share_goes_up_and_down(url: str) -> None:
    answered: list[tuple[int, str]] = []
    ended = threading.Event()

    def keep_asking() -> None:
        while not ended.is_set():
            reply = ask(url, conversation=f"c{len(answered)}")
            answered.append((reply.status_code, reply.json().get("model", "")))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for share in (0, 25, 100, 50, 0):
            count = len(answered)
            httpx.put(f"{url}/v1/split", json={"shares": {"large": share}}, timeout=30).raise_for_status()
            until = time.monotonic() + 60
            while len(answered) < count + 3:
                assert time.monotonic() < until
                time.sleep(0.01)
    finally:
        ended.set()
        asking.join()
        httpx.delete(f"{url}/v1/split", timeout=30)
    assert {status for status, _ in answered} == {200}
    assert {model for _, model in answered} == {"small", "large"}


def test_the_choice_is_that_of_the_pure_function(url: str) -> None:
    for number in range(4):
        expected = choose_entry({"large": 50}, json.dumps(["default", "", "header", f"c{number}"])) or "small"
        assert ask(url, conversation=f"c{number}").json()["model"] == expected
