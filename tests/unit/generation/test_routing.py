"""The way to an entry that can answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from services.core.context import set_deadline
from services.core.errors import (
    Busy,
    ContextLengthExceeded,
    DeadlineExceeded,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.generation.entries import ModelEntry
from services.generation.routing import Health, Route
from services.generation.task import NoAnswer

ENTRIES = [ModelEntry(name=name, model_id=name) for name in "abc"]
SECONDS = 15.0


class World:
    """Entries that fail as told; remembers which were tried."""

    def __init__(self) -> None:
        self.now = 100.0
        self.health = Health(SECONDS, now=lambda: self.now)
        self.failing: dict[str, RaglineError] = {}
        self.later: set[str] = set()
        self.thinking: set[str] = set()
        self.tried: list[str] = []

    async def attempt(self, entry: ModelEntry) -> AsyncGenerator[str]:
        self.tried.append(entry.name)
        if error := self.failing.get(entry.name):
            if entry.name in self.later:
                yield "begun"
            raise error
        if entry.name in self.thinking:
            yield f"{entry.name} thinks"
            yield "?"
        else:
            yield entry.name

    async def ask(self, count: int = 3) -> tuple[list[str], Route]:
        route = Route(ENTRIES[:count], self.health)
        return [item async for item in route.stream(self.attempt, unanswered="?".__eq__)], route


def down(name: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"{name} is down", service=name)


async def test_the_wanted_entry_answers() -> None:
    items, route = await World().ask()
    assert items == ["a"]
    assert (route.used.name, route.passed_over) == ("a", {})


@pytest.mark.parametrize("error", [down("a"), ServiceError("a answered 500"), DeadlineExceeded("504")])
async def test_one_that_fails_at_the_start_is_passed_over(error: RaglineError) -> None:
    world = World()
    world.failing = {"a": error, "b": down("b")}
    items, route = await world.ask()
    assert items == ["c"]
    assert (route.used.name, [*route.passed_over.items()]) == (
        "c",
        [("a", "unavailable"), ("b", "unavailable")],
    )


async def test_it_is_remembered_and_tried_again_later() -> None:
    world = World()
    world.failing["a"] = down("a")
    await world.ask()
    await world.ask()
    assert world.tried == ["a", "b", "b"]
    world.now += SECONDS
    await world.ask()
    assert world.tried[3:] == ["a", "b"]
    world.failing.clear()
    world.now += SECONDS
    _, route = await world.ask()
    assert route.passed_over == {}
    await world.ask()
    assert world.tried[5:] == ["a", "a"]


async def test_one_that_is_only_busy_is_passed_over_and_not_remembered() -> None:
    world = World()
    world.failing["a"] = Busy("a accepts late", retry_after=30)
    await world.ask()
    world.failing.clear()
    _, route = await world.ask()
    assert (world.tried, route.used.name) == (["a", "b", "a"], "a")


async def test_one_that_gives_no_answer_is_passed_over_and_not_remembered() -> None:
    world = World()
    world.health.fail("a")
    world.now += SECONDS
    world.failing["a"] = NoAnswer("a ended its answer before it began")
    _, route = await world.ask()
    assert route.passed_over == {"a": "unanswered"}
    world.failing.clear()
    _, route = await world.ask()
    assert (world.tried, route.used.name) == (["a", "b", "a"], "a")


async def test_where_no_other_is_left_no_answer_is_an_error() -> None:
    world = World()
    world.failing["a"] = NoAnswer("a ended its answer before it began")
    with pytest.raises(NoAnswer, match="before it began"):
        await world.ask(1)


@pytest.mark.parametrize("error", [ServiceError("a died"), DeadlineExceeded("a sent nothing")])
async def test_one_that_fails_before_its_answer_begins_is_passed_over(error: RaglineError) -> None:
    """What it has thought until then has gone out, and another one answers all the same."""
    world = World()
    world.failing, world.later = {"a": error}, {"a"}
    route = Route(ENTRIES[:2], world.health)
    items = [item async for item in route.stream(world.attempt, answers=lambda item: item != "begun")]
    assert items == ["begun", "b"]
    assert route.passed_over == {"a": "unavailable"}
    assert world.health.is_down("a")


async def test_one_request_probes_for_the_others() -> None:
    world = World()
    world.health.fail("a")
    world.now += SECONDS
    assert world.health.claim("a")
    assert not world.health.claim("a")
    world.health.succeed("a")
    assert world.health.claim("a")


async def test_an_earlier_retry_after_counts() -> None:
    world = World()
    world.failing["a"] = ServiceUnavailable("fetching a", retry_after=2)
    await world.ask()
    world.now += 2
    world.failing.clear()
    _, route = await world.ask()
    assert route.used.name == "a"


@pytest.mark.parametrize("error", [ContextLengthExceeded("too long"), RateLimited("queue is full")])
async def test_what_the_caller_can_change_is_the_callers(error: RaglineError) -> None:
    world = World()
    world.failing["a"] = error
    with pytest.raises(type(error)):
        await world.ask()
    assert world.tried == ["a"]
    assert not world.health.is_down("a")


async def test_never_after_the_first_item() -> None:
    world = World()
    world.failing["a"] = ServiceError("a broke off")
    world.later = {"a"}
    with pytest.raises(ServiceError, match="broke off"):
        await world.ask()
    assert world.tried == ["a"]


async def test_where_none_answers_each_is_named() -> None:
    world = World()
    world.failing = {name: down(name) for name in "abc"}
    with pytest.raises(ServiceUnavailable, match=r"a is down \(no fallback .*b: b is down; c: c is down\)"):
        await world.ask()


async def test_what_is_down_is_tried_where_nothing_else_is_left() -> None:
    world = World()
    world.failing["a"] = down("a")
    await world.ask()
    world.failing = {"b": down("b"), "c": down("c")}
    items, route = await world.ask()
    assert items == ["a"]
    assert route.passed_over == {}


async def test_an_entry_without_fallback_is_always_tried() -> None:
    world = World()
    world.failing["a"] = down("a")
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match=r"^a is down$"):
            await world.ask(1)
    assert world.tried == ["a", "a"]


async def test_one_that_gives_no_answer_is_followed_by_the_next() -> None:
    world = World()
    world.thinking, world.failing = {"a", "b"}, {}
    items, route = await world.ask()
    assert items == ["a thinks", "b thinks", "c"]
    assert route.used.name == "c"
    assert route.passed_over == {"a": "unanswered", "b": "unanswered"}
    assert not world.health.is_down("a")


async def test_where_none_answers_the_last_says_so() -> None:
    world = World()
    world.thinking = {"a", "b", "c"}
    items, route = await world.ask()
    assert items == ["a thinks", "b thinks", "c thinks", "?"]
    assert list(route.passed_over) == ["a", "b"]


@pytest.mark.parametrize("error", [down("b"), ContextLengthExceeded("too long"), RateLimited("full")])
async def test_where_no_other_begins_it_is_the_entry_without_an_answer(error: RaglineError) -> None:
    world = World()
    world.thinking, world.failing = {"a"}, {"b": error, "c": down("c")}
    items, route = await world.ask()
    assert items == ["a thinks", "?"]
    assert (route.used.name, route.passed_over, world.tried) == ("a", {}, ["a", "b", "c"])
    assert world.health.is_down("b") == isinstance(error, ServiceUnavailable)


async def test_what_breaks_off_after_it_is_raised() -> None:
    world = World()
    world.thinking, world.failing, world.later = {"a"}, {"b": ServiceError("b broke off")}, {"b"}
    with pytest.raises(ServiceError, match="broke off"):
        await world.ask()
    assert world.tried == ["a", "b"]


async def test_the_way_never_goes_back() -> None:
    world = World()
    world.health.fail("a")
    world.thinking = {"b"}
    items, route = await world.ask(2)
    assert items == ["b thinks", "?"]
    assert (route.used.name, route.passed_over) == ("b", {"a": "unavailable"})


async def test_one_that_is_down_is_tried_after_one_without_an_answer() -> None:
    world = World()
    world.health.fail("b")
    world.thinking = {"a"}
    items, route = await world.ask(2)
    assert items == ["a thinks", "b"]
    assert route.passed_over == {"a": "unanswered"}


async def test_none_is_asked_after_the_deadline() -> None:
    world = World()
    world.thinking = {"a"}

    async def late() -> tuple[list[str], Route]:
        set_deadline(0)
        return await world.ask()

    items, _ = await asyncio.create_task(late())
    assert items == ["a thinks", "?"]
    assert world.tried == ["a"]
