"""`rag` in a request: what it becomes, and how a wrong value is refused."""

from __future__ import annotations

import httpx
import pytest

from services.core.wire.answer import GivenPassage, RagOptions
from services.core.wire.passages import Passage
from services.gateway.app import create
from services.gateway.search import resolve_search, rewriting_entry
from services.gateway.settings import Settings


def test_what_a_request_leaves_out_is_as_the_gateway_is_set() -> None:
    settings = Settings(top_k=7, top_n=2, floor=0.5, neighbours=1, rewrite="small")
    search = resolve_search(RagOptions(), settings)
    assert (search.top_k, search.top_n, search.floor, search.neighbours) == (7, 2, 0.5, 1)
    assert (search.mode, search.mmr, search.rewrite) == (None, None, "small")
    wanted = RagOptions(mode="sparse", mmr=0.3, neighbours=0, floor=0, rewrite=False)
    search = resolve_search(wanted, settings)
    assert (search.mode, search.mmr, search.neighbours, search.floor) == ("sparse", 0.3, 0, 0)
    assert search.rewrite is None


def test_passages_that_come_with_the_question_are_named_and_kept_as_they_are() -> None:
    whole = GivenPassage(id="p", document_id="d", title="a.md", text="water", start=3, end=8, score=0.5)
    search = resolve_search(RagOptions(context=[GivenPassage(text="ice"), whole]), Settings())
    assert search.given is not None
    first, second = search.given
    assert (first.id, first.document_id, first.start, first.end) == ("given-1", "given-1", 0, 3)
    assert second == Passage(id="p", document_id="d", title="a.md", text="water", start=3, end=8, score=0.5)
    assert resolve_search(RagOptions(context=[]), Settings()).given == ()
    assert resolve_search(RagOptions(), Settings()).given is None


@pytest.mark.parametrize(
    ("wanted", "entry"),
    [(True, ""), ("true", ""), ("On", ""), (False, None), ("", None), ("off", None), ("large", "large")],
)
def test_rewriting_is_off_or_by_the_entry_that_answers_or_by_another(
    wanted: bool | str, entry: str | None
) -> None:
    assert rewriting_entry(wanted) == entry


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mode": "fuzzy"}, "rag.mode"),
        ({"mmr": 1.5}, "rag.mmr"),
        ({"neighbours": -1}, "rag.neighbours"),
        ({"context": [{"text": ""}]}, "rag.context"),
        ({"context": "water"}, "rag.context"),
        ({"neighbours": 11}, "rag.neighbours"),
        ({"floor": 2}, "rag.floor"),
        ({"rewrite": 3}, "rag.rewrite"),
        ({"neighbors": 1}, "rag.neighbors"),
        ({"select": "words"}, "rag.select"),
        ({"context": [{"text": "water", "kept": [[0, 9]]}]}, "kept"),
        ({"context": [{"text": "water", "kept": [[2, 4], [1, 3]]}]}, "kept"),
    ],
)
async def test_a_wrong_option_is_refused_by_name(options: dict[str, object], named: str) -> None:
    body = {"messages": [{"role": "user", "content": "q"}], "rag": options}
    transport = httpx.ASGITransport(create(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]
