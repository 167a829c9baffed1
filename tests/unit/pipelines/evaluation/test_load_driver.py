"""The closed loop of users: how many at once, when it ends, in which order."""

from __future__ import annotations

import asyncio
import time

import pytest

from pipelines.evaluation.load.driver import Bounds, interleave_cells, run_cell
from pipelines.evaluation.load.records import Sample
from services.core.wire.compare import ArmRequest

ARM = ArmRequest(name="a", model="a")


class Asked:
    """Answers once the others of its round are there too, so that no clock decides."""

    def __init__(self, together: int) -> None:
        self.questions: list[str] = []
        self.most = self._now = 0
        self._barrier = asyncio.Barrier(together)

    async def __call__(self, arm: ArmRequest, question: str, concurrency: int) -> Sample:
        self.questions.append(question)
        self._now += 1
        self.most = max(self.most, self._now)
        await self._barrier.wait()
        self._now -= 1
        return Sample(arm=arm.name, concurrency=concurrency, started=0, ended=time.perf_counter(), e2el=1)


@pytest.mark.parametrize("users", [1, 3])
async def test_as_many_at_once_as_users_and_as_many_as_asked(users: int) -> None:
    asked = Asked(users)
    samples, seconds = await run_cell(asked, ARM, ["q1", "q2"], users, Bounds(requests=6, seconds=None))
    assert len(samples) == 6
    assert asked.most == users
    assert asked.questions == ["q1", "q2"] * 3
    assert seconds > 0
    assert {sample.concurrency for sample in samples} == {users}


async def test_a_request_that_was_begun_counts_after_the_time_is_up() -> None:
    asked = Asked(2)
    samples, _ = await run_cell(asked, ARM, ["q"], 2, Bounds(requests=None, seconds=1e-9))
    assert samples == []
    samples, _ = await run_cell(slow, ARM, ["q"], 2, Bounds(requests=None, seconds=0.5))
    assert len(samples) == 2


async def slow(arm: ArmRequest, question: str, concurrency: int) -> Sample:
    await asyncio.sleep(0.6)
    return Sample(arm=arm.name, concurrency=concurrency, started=0, ended=time.perf_counter())


def test_arms_take_turns_and_concurrencies_rise() -> None:
    arms = [ArmRequest(name=name, model=name) for name in "abc"]
    order = [(arm.name, users) for arm, users in interleave_cells(arms, (4, 1, 2), seed=3)]
    assert [users for _, users in order] == [1, 1, 1, 2, 2, 2, 4, 4, 4]
    rounds = ["".join(name for name, users in order if users == at) for at in (1, 2, 4)]
    assert {"".join(sorted(each)) for each in rounds} == {"abc"}
    assert len(set(rounds)) > 1
