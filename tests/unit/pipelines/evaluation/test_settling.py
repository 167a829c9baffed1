"""A run waits for engines that may still change."""

from __future__ import annotations

from pipelines.evaluation import settling
from services.core.wire.chat import ModelInfo


async def test_a_run_waits_for_its_own_entries_and_says_so_once(monkeypatch) -> None:
    monkeypatch.setattr(settling, "POLL_SECONDS", 0)
    states = iter(["measuring", "measuring", "changing", ""])

    async def read() -> tuple[ModelInfo, ...]:
        return ModelInfo(id="a", settling=next(states)), ModelInfo(id="b", settling="not this run's")

    said: list[str] = []
    models, has_waited = await settling.wait_until_settled(read, {"a"}, said.append)
    assert has_waited
    assert models[0].settling == ""
    assert said == [f"a: {state}; the run waits for that" for state in ("measuring", "changing")]


async def test_settled_entries_are_not_waited_for() -> None:
    async def read() -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="a"),)

    assert await settling.wait_until_settled(read, {"a"}, print) == ((ModelInfo(id="a"),), False)
