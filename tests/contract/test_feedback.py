"""`/v1/feedback`, on each store: what was acknowledged is kept, one tenant's apart from another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.core.errors import ServiceUnavailable
from services.core.wire.feedback import FeedbackRequest
from services.gateway.app import create
from services.gateway.feedback.store import FeedbackStore, LazyStore
from services.gateway.settings import Settings
from tests.contract.conftest import Serve
from tests.contract.tenants_chain import Tenant, write_key_file
from tests.redis_server import RedisServer

ANSWERS = [{"arm": "small", "content": "Honey."}, {"arm": "large", "content": "Wax."}]
VOTE = {"question": "What do bees make?", "answers": ANSWERS, "choice": 0, "blind": True, "person": "ada"}
THUMB = {"question": "What do bees make?", "answers": ANSWERS[:1], "choice": "down", "why": "too short"}


@pytest.fixture(params=["sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FeedbackStore]:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.flush()
        url = f"redis://127.0.0.1:{server.port}/0"
    else:
        url = f"sqlite://{tmp_path}/feedback"
    lazy = LazyStore(url)
    yield await lazy.open()
    await lazy.close()


async def test_what_is_given_is_read_page_by_page_and_deleted(store: FeedbackStore) -> None:
    requests = [FeedbackRequest.model_validate(VOTE | {"why": str(number)}) for number in range(5)]
    given = [await store.add("acme", request) for request in requests]
    first = await store.page("acme", after="", limit=3)
    assert [item.why for item in first.feedback] == ["0", "1", "2"]
    assert first.feedback == given[:3]
    assert first.next is not None
    rest = await store.page("acme", after=first.next, limit=3)
    assert rest.feedback == given[3:]
    assert rest.next is None
    assert await store.delete("acme", given[0].id)
    assert not await store.delete("acme", given[0].id)
    assert not await store.delete("acme", "none")
    assert (await store.page("acme", after="", limit=9)).feedback == given[1:]
    assert (await store.page("acme", after="nonsense", limit=9)).feedback == given[1:]


async def test_a_tenant_sees_and_deletes_its_own_alone(store: FeedbackStore) -> None:
    # theirs first and another of mine between: ids are a tenant's own, and those of one millisecond are alike
    theirs = await store.add("other", FeedbackRequest.model_validate(THUMB))
    first = await store.add("acme", FeedbackRequest.model_validate(VOTE))
    mine = await store.add("acme", FeedbackRequest.model_validate(VOTE))
    assert theirs.id != mine.id
    assert (await store.page("acme", after="", limit=9)).feedback == [first, mine]
    assert not await store.delete("other", mine.id)
    assert (await store.page("acme", after="", limit=9)).feedback == [first, mine]
    assert (await store.page("other", after="", limit=9)).feedback == [theirs]


async def test_many_at_once_are_all_kept(store: FeedbackStore) -> None:
    await asyncio.gather(*(store.add("acme", FeedbackRequest.model_validate(VOTE)) for _ in range(50)))
    page = await store.page("acme", after="", limit=100)
    assert len({item.id for item in page.feedback}) == 50


async def test_what_sqlite_acknowledged_is_there_for_the_next_process(tmp_path: Path) -> None:
    for number in (1, 2):
        lazy = LazyStore(f"sqlite://{tmp_path}")
        store = await lazy.open()
        await store.add("acme", FeedbackRequest.model_validate(VOTE))
        assert len((await store.page("acme", after="", limit=9)).feedback) == number
        if number == 2:
            await lazy.close()  # the first one is left as a killed process leaves it


async def test_a_store_that_cannot_be_opened_says_where_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("a file where the folder should be")
    lazy = LazyStore(f"sqlite://{tmp_path}/place")
    with pytest.raises(ServiceUnavailable, match=f"{tmp_path}/place.*FEEDBACK_URL"):
        await lazy.open()
    (tmp_path / "place").unlink()
    await (await lazy.open()).add("acme", FeedbackRequest.model_validate(VOTE))
    await lazy.close()


@pytest.fixture(scope="module")
def gateway(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(create(Settings(feedback_url=f"sqlite://{tmp_path_factory.mktemp('feedback')}")))


def test_the_routes(gateway: str) -> None:
    url = f"{gateway}/v1/feedback"
    for body in (VOTE, THUMB):
        reply = httpx.post(url, json=body)
        assert reply.status_code == 201, reply.text
        assert reply.json() | body == reply.json()
    listed = httpx.get(url).json()["feedback"]
    assert [item["choice"] for item in listed] == [0, "down"]
    assert httpx.delete(f"{url}/{listed[0]['id']}").status_code == 204
    assert httpx.delete(f"{url}/{listed[0]['id']}").status_code == 404
    assert [item["choice"] for item in httpx.get(url).json()["feedback"]] == ["down"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"choice": "up"}, "a place from 0, both or neither"),
        ({"choice": 2}, "a place from 0, both or neither"),
        ({"choice": -1}, "a place from 0, both or neither"),
        ({"answers": ANSWERS[:1], "choice": 0}, "up or down"),
        ({"answers": []}, "answers"),
        ({"question": ""}, "question"),
        ({"stars": 5}, "stars"),
        ({"why": "x" * 5000}, "why"),
    ],
)
def test_what_fits_no_question_is_refused(gateway: str, change: dict[str, object], word: str) -> None:
    reply = httpx.post(f"{gateway}/v1/feedback", json=VOTE | change)
    assert reply.status_code == 422
    assert word in reply.json()["error"]["message"]


def test_of_tenants_each_reads_its_own_and_only_an_admin_does(serve: Serve, tmp_path: Path) -> None:
    keys = write_key_file(
        tmp_path / "keys.json",
        ada={"tenant": "acme", "roles": ["ask"]},
        boss={"tenant": "acme", "roles": ["admin"]},
        rival={"tenant": "rival", "roles": ["admin"]},
    )
    settings = Settings(feedback_url=f"sqlite://{tmp_path}", keys_file=tmp_path / "keys.json")
    url = serve(create(settings))
    ada, boss, rival = (Tenant(url, keys[name]) for name in ("ada", "boss", "rival"))
    given = ada.ask("POST", "/v1/feedback", json=VOTE | {"person": ""})
    assert given.status_code == 201
    assert given.json()["person"] == "ada"
    assert ada.ask("GET", "/v1/feedback").status_code == 403
    path = f"/v1/feedback/{given.json()['id']}"
    assert ada.ask("DELETE", path).status_code == 403
    assert rival.ask("GET", "/v1/feedback").json()["feedback"] == []
    assert rival.ask("DELETE", path).status_code == 404
    assert boss.ask("GET", "/v1/feedback").json()["feedback"] == [given.json()]
    assert boss.ask("DELETE", path).status_code == 204
