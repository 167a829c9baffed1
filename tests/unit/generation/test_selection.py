"""Which embedded engine `auto` is, with measurements that are given."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.core.errors import ServiceError, ServiceUnavailable
from services.generation import selection
from services.generation.backends.fake import FakeEngine, Settings
from services.generation.entries import ModelEntry
from services.generation.selection import REPEATS, Candidate, choose, probe, time_to_first_token

ENTRY = ModelEntry(name="small", model_id="m")
BOTH = [Candidate("llamacpp", "1"), Candidate("openvino", "2")]


class Measurer:
    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[str] = []

    async def __call__(self, engine: str, entry: ModelEntry) -> float:
        self.asked.append(engine)
        await asyncio.sleep(0.01)
        if engine not in self.seconds:
            raise ServiceError("illegal instruction")
        return self.seconds[engine]


async def pick(home: Path, measure: Measurer, engines: list[Candidate] = BOTH) -> str:
    return await choose(ENTRY, home, lambda _: None, engines=engines, measure=measure)


@pytest.mark.parametrize(("llamacpp", "openvino", "winner"), [(3.9, 1.1, "openvino"), (0.5, 1.1, "llamacpp")])
async def test_the_lower_time_wins(tmp_path: Path, llamacpp: float, openvino: float, winner: str) -> None:
    assert await pick(tmp_path, Measurer(llamacpp=llamacpp, openvino=openvino)) == winner


async def test_measured_once_and_remembered(tmp_path: Path) -> None:
    first, second = Measurer(llamacpp=2, openvino=1), Measurer(llamacpp=1, openvino=2)
    assert await pick(tmp_path, first) == "openvino"
    assert await pick(tmp_path, second) == "openvino"
    assert (first.asked, second.asked) == (["llamacpp", "openvino"], [])


async def test_new_versions_and_another_cpu_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pick(tmp_path, Measurer(llamacpp=2, openvino=1))
    newer = [Candidate("llamacpp", "9"), BOTH[1]]
    assert await pick(tmp_path, Measurer(llamacpp=0.1, openvino=1), newer) == "llamacpp"
    monkeypatch.setattr(selection, "cpu_model", lambda: "Another CPU")
    other = Measurer(llamacpp=0.1, openvino=1)
    assert await pick(tmp_path, other) == "llamacpp"
    assert other.asked
    monkeypatch.undo()
    assert await pick(tmp_path, Measurer()) == "openvino"


async def test_two_at_once_measure_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "LOCK_POLL_SECONDS", 0.01)
    measure = Measurer(llamacpp=2, openvino=1)
    assert await asyncio.gather(pick(tmp_path, measure), pick(tmp_path, measure)) == ["openvino"] * 2
    assert len(measure.asked) == 2


async def test_an_engine_that_cannot_run_here_is_left_out(tmp_path: Path) -> None:
    assert await pick(tmp_path, Measurer(llamacpp=9)) == "llamacpp"
    with pytest.raises(ServiceUnavailable, match="openvino: illegal instruction"):
        await pick(tmp_path / "other", Measurer())


async def test_one_installed_engine_needs_no_measurement(tmp_path: Path) -> None:
    measure = Measurer()
    assert await pick(tmp_path, measure, BOTH[:1]) == "llamacpp"
    assert measure.asked == []
    with pytest.raises(ServiceUnavailable, match=r"pip install '.\[generation\]'"):
        await pick(tmp_path, measure, [])


async def test_a_damaged_memory_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / selection.FILE).write_text("not json")
    assert await pick(tmp_path, Measurer(llamacpp=2, openvino=1)) == "openvino"
    assert await pick(tmp_path, Measurer()) == "openvino"


def test_installed_engines_are_found() -> None:
    assert {candidate.engine for candidate in selection.candidates()} <= {"llamacpp", "openvino"}


async def test_median_of_the_runs_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Engine(FakeEngine):
        async def generate(self, prompt):
            asked.append(prompt)
            await asyncio.sleep([0.2, 0.02, 0.06, 0.02][len(asked) - 1])
            async for delta in super().generate(prompt):
                yield delta

    engine = Engine(ModelEntry(name="f", engine="fake"), Settings())
    assert 0.015 < await time_to_first_token(engine) < 0.055
    assert len(asked) == REPEATS + 1


def test_probes_share_no_prefix() -> None:
    first, second = (probe(number).messages[0][1] for number in (1, 2))
    assert first[0] != second[0]
    assert 250 < len(first.split()) * 1.3 < 450


async def test_a_child_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_HOME", str(tmp_path))
    entry = ModelEntry(name="small", model_path="/nonexistent.gguf")
    with pytest.raises(ServiceError, match=r"measuring llamacpp failed: .*nonexistent"):
        await selection.measure_in_child("llamacpp", entry)


async def test_until_they_are_measured_the_one_that_converts_nothing_answers(tmp_path: Path) -> None:
    installed = selection.candidates()
    if len(installed) < 2:
        pytest.skip("one embedded engine is installed: there is nothing to choose")
    assert selection.choose_for_now(tmp_path, installed) == "llamacpp"
    assert selection.choose_for_now(tmp_path, installed[:1]) is None
    await pick(tmp_path, Measurer(llamacpp=2, openvino=1), installed)
    assert selection.choose_for_now(tmp_path, installed) is None


@pytest.mark.parametrize(("busy", "times"), [(0, 1), (1, 2), (9, selection.TRIES)])
async def test_what_requests_may_have_slowed_down_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, busy: int, times: int
) -> None:
    activity, asked = selection.Activity(), []

    async def measure(engine: str, entry: ModelEntry, *, niceness: int = 0) -> float:
        asked.append((engine, niceness))
        if len(asked) <= busy:
            activity.begun += 1
        return float(len(asked))

    monkeypatch.setattr(selection, "measure_in_child", measure)
    assert await selection.measure_beside(activity)("llamacpp", ENTRY) == times
    assert asked == [("llamacpp", selection.NICENESS)] * times
