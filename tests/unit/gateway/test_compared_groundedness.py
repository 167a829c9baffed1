"""Groundedness inside a comparison: what is judged, when, and what a failing detector does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from pipelines.compare import Arm, Comparison
from pipelines.evaluation.grounding.claims import Claim
from pipelines.evaluation.grounding.scorer import GroundednessScorer, Grounding
from pipelines.rag import RagPipeline
from pipelines.search import Evidence, Search
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import ServiceUnavailable
from services.core.wire.chat import ChatMessage, Usage
from services.core.wire.compare import ArmGroundedness, ArmReply, CompareReply, GroundingScope
from services.core.wire.features import Features
from services.core.wire.passages import Passage
from services.core.wire.sampling import Sampling
from services.gateway.compare import Grounder, compare_events

ICE = "Ice has a density of 917 kilograms per cubic metre. It floats on water."
PASSAGES = (Passage(id="ice", document_id="d", title="d.md", text=ICE, score=0.9),)
USAGE = Usage(prompt_tokens=5, completion_tokens=3, total_tokens=8)
SAID = {
    "right": "Ice has a density of 917 kilograms per cubic metre. It floats on water.",
    "wrong": "Ice has a density of 820 kilograms per cubic metre. It floats on water.",
    "silent": "I don't know.",
}


class Judge(GroundednessScorer):
    """The scorer, which notes how many arms run while it works. `mood` is what goes wrong."""

    def __init__(self, mood: str = "") -> None:
        self.mood = mood
        self.running: list[str] = []
        self.asked_while: list[int] = []

    async def score_all(self, claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
        self.asked_while.append(len(self.running))
        if self.mood == "down":
            raise ServiceUnavailable("detector is down: no answer", service="detector")
        if self.mood == "slow":
            await asyncio.sleep(60)
        return await super().score_all(claims, passages)


class Generation(GenerationClient):
    """Each entry says its sentence; `running` are those that have begun and not ended."""

    def __init__(self, running: list[str]) -> None:
        self.running = running

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        self.running.append(model)
        if model == "broken":
            self.running.remove(model)
            raise ServiceUnavailable("broken is down", service="generation")
        yield ChatDelta(model=model, reasoning="It floats on water.")
        for _ in range(3 if model == "right" else 1):
            await asyncio.sleep(0)
        yield ChatDelta(model=model, content=SAID[model])
        self.running.remove(model)
        yield ChatDelta(model=model, finish_reason="stop", usage=USAGE)


class Chain(RagPipeline):
    async def find(self, text: str, search: Search, clock: object = None, **asked: object) -> Evidence:
        return Evidence(PASSAGES)


async def events(
    judge: Judge,
    *models: str,
    serial: bool = True,
    scope: GroundingScope = "all",
    seconds: float = 30,
) -> list[object]:
    nothing = object.__new__
    pipeline = Chain(
        nothing(EmbeddingClient),
        nothing(RetrievalClient),
        nothing(RerankingClient),
        Generation(judge.running),
    )
    asked = Comparison("How dense is ice?", [Arm(name, name) for name in models], serial=serial)
    return [event async for event in compare_events(pipeline, asked, Grounder(judge, seconds), scope)]


@pytest.mark.parametrize("serial", [True, False])
async def test_every_answer_is_judged_after_it_and_while_no_arm_runs(serial: bool) -> None:
    judge = Judge()
    happened = await events(judge, "right", "wrong", "silent", "broken", serial=serial)
    whole = happened[-1]
    assert isinstance(whole, CompareReply)
    assert set(judge.asked_while) == {0}
    for name in ("right", "wrong", "silent"):
        order = [
            type(event)
            for event in happened
            if isinstance(event, ArmReply | ArmGroundedness) and event.arm == name
        ]
        assert order == [ArmReply, ArmGroundedness]
    right, wrong, silent, broken = whole.arms
    assert right.groundedness is not None
    assert [each.verdict for each in right.groundedness.answer.sentences] == ["supported", "supported"]
    assert right.groundedness.reasoning is not None
    assert right.groundedness.reasoning.share_supported == 1.0
    assert right.groundedness.trace is not None
    assert wrong.groundedness is not None
    assert [each.verdict for each in wrong.groundedness.answer.sentences] == ["contradicted", "supported"]
    assert silent.groundedness is not None
    assert silent.groundedness.answer.share_supported is None
    assert silent.groundedness.trace is not None
    assert (silent.groundedness.trace.verdict, silent.groundedness.trace.by) == ("contradicts", "abstention")
    assert (broken.groundedness, broken.groundedness_missing) == (None, None)
    to_wrong, to_silent, _ = whole.differences
    assert (to_wrong.share_supported, to_wrong.contradicted) == (-0.5, 1)
    assert (to_silent.share_supported, to_silent.contradicted) == (None, 0)


async def test_serial_answers_are_judged_before_the_next_arm_begins() -> None:
    happened = await events(Judge(), "right", "wrong")
    names = [type(event).__name__ for event in happened if not isinstance(event, CompareReply)]
    assert names.index("ArmGroundedness") < len(names) - 3


@pytest.mark.parametrize(("mood", "says"), [("down", "detector is down"), ("slow", "GROUNDING_SECONDS")])
async def test_a_detector_that_fails_leaves_the_answers(mood: str, says: str) -> None:
    *_, whole = await events(Judge(mood), "right", "silent", seconds=0.05)
    assert isinstance(whole, CompareReply)
    assert [arm.status for arm in whole.arms] == ["answered", "answered"]
    assert whole.arms[0].groundedness is None
    assert says in (whole.arms[0].groundedness_missing or "")
    assert whole.differences[0].share_supported is None


@pytest.mark.parametrize(("scope", "judged"), [("off", (False, False)), ("answer", (True, False))])
async def test_a_field_switches_it_off(scope: GroundingScope, judged: tuple[bool, bool]) -> None:
    judge = Judge()
    *_, whole = await events(judge, "right", scope=scope)
    assert isinstance(whole, CompareReply)
    found = whole.arms[0].groundedness
    assert (found is not None, found is not None and found.reasoning is not None) == judged
    assert bool(judge.asked_while) == judged[0]
    assert whole.arms[0].groundedness_missing is None
