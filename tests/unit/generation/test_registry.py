"""Opening, keeping and closing engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from services.core.errors import RateLimited, ServiceError, ServiceUnavailable
from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.configuration import Entries
from services.generation.entries import ModelEntry
from services.generation.loading import Report
from services.generation.registry import Opened, Registry


class Engine:
    capabilities = Capabilities(seed=True)

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    async def ready(self) -> None:
        if self.name == "sick":
            raise ServiceUnavailable("sick is down")

    async def close(self) -> None:
        self.closed = True

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        yield Delta(finish_reason="stop")


class House:
    """A registry over entries that are named here; remembers every engine it opened."""

    def __init__(
        self, *names: str, loaded_max: int = 2, slots: int = 2, queue: int = 1, **fallback: tuple[str, ...]
    ) -> None:
        self.opened: list[Engine] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.phase = ""
        self.slots = slots
        self.better: Callable[[], Awaitable[str]] | None = None
        listed = {
            name: ModelEntry(name=name, model_id=name, fallback=fallback.get(name, ())) for name in names
        }
        self.registry = Registry(
            Entries(listed, next(iter(listed.values()))),
            opener=self.open,
            embedded=lambda entry: not entry.name.startswith("server"),
            queue=queue,
            loaded_max=loaded_max,
            down_seconds=15,
        )

    async def open(self, entry: ModelEntry, report: Report) -> Opened:
        report(self.phase)
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ServiceError("no such chip")
        engine = Engine(entry.name)
        self.opened.append(engine)
        better = None if self.better is None or len(self.opened) > 1 else self.better
        return Opened(engine, "llamacpp" if better else "openvino", self.slots, better)

    def use(self, name: str):
        return self.registry.lease(self.registry.entries.find(name))

    @property
    def resident(self) -> list[str]:
        return [engine.name for engine in self.opened if not engine.closed]


async def test_opens_once_and_keeps() -> None:
    house = House("a", "b")
    for _ in range(2):
        async with house.use("a") as engine:
            assert engine is house.opened[0]
    await asyncio.gather(*(enter(house, "b") for _ in range(2)))
    assert [engine.name for engine in house.opened] == ["a", "b"]
    await house.registry.close()
    assert house.resident == []


async def enter(house: House, name: str) -> None:
    async with house.use(name):
        await asyncio.sleep(0)


async def test_only_the_default_is_preloaded() -> None:
    house = House("a", "b")
    house.registry.preload()
    await asyncio.sleep(0.01)
    assert house.resident == ["a"]
    await house.registry.close()


async def test_least_recently_used_idle_engine_makes_room() -> None:
    house = House("a", "b", "c")
    for name in ("a", "b", "a"):
        await enter(house, name)
    await enter(house, "c")
    assert house.resident == ["a", "c"]
    await enter(house, "b")
    assert house.resident == ["c", "b"]
    await house.registry.close()


async def test_an_engine_in_use_is_never_closed() -> None:
    house = House("a", "b", loaded_max=1)
    async with house.use("a"):
        other = asyncio.ensure_future(enter(house, "b"))
        await asyncio.sleep(0.02)
        assert house.resident == ["a"]
        assert not other.done()
    await other
    assert house.resident == ["b"]
    await house.registry.close()


async def test_servers_do_not_count_as_loaded() -> None:
    house = House("a", "b", "server-1", "server-2")
    for name in ("a", "b", "server-1", "server-2"):
        await enter(house, name)
    assert house.resident == ["a", "b", "server-1", "server-2"]
    await house.registry.close()


async def test_beyond_the_slots_requests_queue_and_beyond_the_queue_they_are_refused() -> None:
    house = House("a", slots=1, queue=1)
    async with house.use("a"):
        waiting = asyncio.ensure_future(enter(house, "a"))
        await asyncio.sleep(0.01)
        with pytest.raises(RateLimited, match="LLM_QUEUE") as refusal:
            await enter(house, "a")
        assert refusal.value.retry_after is not None
        assert not waiting.done()
    await waiting
    await enter(house, "a")
    await house.registry.close()


async def test_a_waiter_that_gives_up_leaves_its_place() -> None:
    house = House("a", slots=1, queue=1)
    async with house.use("a"):
        for _ in range(3):
            waiting = asyncio.ensure_future(enter(house, "a"))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    await enter(house, "a")
    await house.registry.close()


async def test_what_takes_long_is_said_at_once() -> None:
    house = House("a")
    house.gate.clear()
    house.phase = "converting a (once) ..."
    with pytest.raises(ServiceUnavailable, match="converting a") as refusal:
        await enter(house, "a")
    assert refusal.value.retry_after
    with pytest.raises(ServiceUnavailable, match="converting a"):
        await house.registry.ready()
    house.gate.set()
    await asyncio.sleep(0.01)
    await enter(house, "a")
    await house.registry.close()


async def test_a_failure_is_told_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House("a")
    house.failures = 1
    with pytest.raises(ServiceError, match="no such chip"):
        await enter(house, "a")
    with pytest.raises(ServiceUnavailable, match="model a: no such chip"):
        await house.registry.ready()
    monkeypatch.setattr("services.generation.loading.RETRY_SECONDS", -1.0)
    await enter(house, "a")
    await house.registry.ready()
    await house.registry.close()


async def test_models_tell_their_state() -> None:
    house = House("a", "sick", "b")
    await enter(house, "a")
    await enter(house, "sick")
    a, sick, b = await house.registry.models()
    assert (a.ready, a.default, a.engine, a.detail) == (True, True, "openvino", "")
    assert (sick.ready, sick.detail) == (False, "sick is down")
    assert (b.ready, b.engine) == (False, "auto")
    assert "not loaded" in b.detail
    await house.registry.close()


async def test_models_tell_names_chain_and_capabilities() -> None:
    house = House("a", "b", "c", a=("b",), b=("c",))
    await enter(house, "a")
    a, b, _ = await house.registry.models()
    assert (a.fallback, b.fallback) == (["b", "c"], ["c"])
    assert a.capabilities is not None
    assert a.capabilities.seed
    assert not a.capabilities.grammar
    assert b.capabilities is None
    await house.registry.close()


async def test_ready_where_a_fallback_can_answer_and_that_one_is_opened() -> None:
    house = House("sick", "b", sick=("b",))
    await enter(house, "sick")
    with pytest.raises(ServiceUnavailable, match="sick is down"):
        await house.registry.ready()
    await asyncio.sleep(0.01)
    assert house.resident == ["sick", "b"]
    await house.registry.ready()
    await house.registry.close()


async def test_closing_stops_what_is_being_warmed() -> None:
    house = House("sick", "b", sick=("b",))
    await enter(house, "sick")
    house.gate.clear()
    with pytest.raises(ServiceUnavailable, match="sick is down"):
        await house.registry.ready()
    await house.registry.close()
    assert house.resident == []


class Better:
    """Finds the better engine once it is let."""

    def __init__(self, name: str = "openvino", error: ServiceError | None = None) -> None:
        self.name = name
        self.error = error
        self.gate = asyncio.Event()

    async def __call__(self) -> str:
        await self.gate.wait()
        if self.error:
            raise self.error
        return self.name


async def until(house: House, settling: str) -> None:
    """Wait for what the first entry says of its engine."""
    while (await house.registry.models())[0].settling != settling:  # noqa: ASYNC110 - the registry has no event for it
        await asyncio.sleep(0)


async def test_an_engine_for_now_answers_and_makes_way_when_nobody_uses_it() -> None:
    house, better = House("a"), Better()
    house.better = better
    async with house.use("a") as engine:
        assert engine is house.opened[0]
        await until(house, "llamacpp answers while the engines are measured")
        better.gate.set()
        await until(house, "openvino takes over from llamacpp")
        async with house.use("a") as again:
            assert again is engine
        assert not house.opened[0].closed
    await until(house, "")
    async with house.use("a") as engine:
        assert engine is house.opened[1]
    assert house.opened[0].closed
    assert (await house.registry.models())[0].engine == "openvino"
    await house.registry.close()


@pytest.mark.parametrize("better", [Better("llamacpp"), Better(error=ServiceError("no chip"))])
async def test_an_engine_for_now_stays_where_it_is_the_better_one_or_nothing_is_found(better: Better) -> None:
    house = House("a")
    house.better = better
    async with house.use("a"):
        better.gate.set()
    await until(house, "")
    async with house.use("a") as engine:
        assert engine is house.opened[0]
    assert len(house.opened) == 1
    await house.registry.close()


async def test_an_engine_for_now_that_made_room_is_not_opened_again() -> None:
    house, better = House("a", "b", loaded_max=1), Better()
    house.better = better
    async with house.use("a"):
        pass
    async with house.use("b"):
        better.gate.set()
        await until(house, "")
    assert house.resident == ["b"]
    await house.registry.close()


async def test_closing_ends_the_search_for_a_better_engine() -> None:
    house = House("a")
    house.better = Better()
    async with house.use("a"):
        pass
    await asyncio.wait_for(house.registry.close(), 5)
    assert house.resident == []
