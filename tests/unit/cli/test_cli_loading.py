from __future__ import annotations

import pytest

from pipelines.evaluation.load import run as loading
from pipelines.evaluation.load.records import Sample
from services.cli.console import Output
from services.core.wire.compare import ArmRequest

ARM = ArmRequest(name="large", model="large")


def failed(code: str, detail: str) -> Sample:
    return Sample(arm="large", concurrency=1, started=0, ended=1, error=code, detail=detail)


class Arm:
    """Answers with these samples, one after the other."""

    def __init__(self, *samples: Sample) -> None:
        self.left = list(samples)

    async def ask(self, arm: ArmRequest, question: str, concurrency: int) -> Sample:
        return self.left.pop(0)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOADING_PAUSE", 0)


async def test_a_model_that_is_loading_is_waited_for_and_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy = failed("service_unavailable", "model large: loading ...")
    answered = Sample(arm="large", concurrency=1, started=0, ended=1)
    arm = Arm(busy, busy, answered)
    assert await loading.ask_when_loaded(arm.ask, ARM, "?", Output.standard().line) == answered
    assert capsys.readouterr().out.count("large waits: model large: loading ...") == 1


async def test_another_failure_is_not_waited_for() -> None:
    refused = failed("invalid_request", "the prompt is too long")
    arm = Arm(refused)
    assert await loading.ask_when_loaded(arm.ask, ARM, "?", Output.standard().line) == refused


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOADING_SECONDS", 0)
    down = failed("service_unavailable", "generation cannot be reached")
    arm = Arm(down, down)
    assert await loading.ask_when_loaded(arm.ask, ARM, "?", Output.standard().line) == down
