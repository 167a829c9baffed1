"""One frozen context, several arms: what they share, what stays apart, what one's failure does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from pipelines.compare import Arm, ArmDone, ArmPiece, Comparison, Event, Frozen, compare, parse_arm
from pipelines.context import context_id
from pipelines.rag import RagPipeline
from pipelines.search import Evidence, Search
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import InvalidRequest, ServiceUnavailable
from services.core.wire.chat import ChatMessage, Usage
from services.core.wire.features import Features
from services.core.wire.passages import Passage
from services.core.wire.sampling import Sampling

PASSAGES = [Passage(id=str(n), document_id="d", title="d.md", text=f"fact {n}.", score=0.9) for n in range(3)]
USAGE = Usage(prompt_tokens=5, completion_tokens=3, total_tokens=8)


class Chain(RagPipeline):
    """The passages are there; what a test counts is how often they were looked for."""

    async def find(self, text: str, search: Search, clock: object = None, **asked: object) -> Evidence:
        self.generation.found += 1  # type: ignore[attr-defined]
        return Evidence(tuple(PASSAGES))


class Generation(GenerationClient):
    """Says its model's name in two pieces; `broken` entries fail, in the middle where they have begun."""

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.broken = broken
        self.prompts: dict[str, str] = {}
        self.told_to_think: dict[str, bool] = {}
        self.found = self.running = self.most = self.closed = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        model: str = "",
        sampling: Sampling | None = None,
        features: Features | None = None,
    ) -> AsyncGenerator[ChatDelta]:
        self.prompts[model] = "\n".join(message.text for message in messages)
        self.told_to_think[model] = sampling is not None and sampling.think
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield ChatDelta(model=model, reasoning=f"{model} thinks")
            await asyncio.sleep(0)
            await self.hold.wait()
            if model in self.broken:
                raise ServiceUnavailable(f"{model} is down", service="generation")
            yield ChatDelta(model=model, content=f"{model} says fact 1.")
            yield ChatDelta(model=model, finish_reason="stop", usage=USAGE)
        finally:
            self.running -= 1
            self.closed += 1


def chain(generation: Generation) -> RagPipeline:
    nothing = object.__new__
    return Chain(nothing(EmbeddingClient), nothing(RetrievalClient), nothing(RerankingClient), generation)


def asked(*models: str, serial: bool = False, cold: bool = True) -> Comparison:
    return Comparison("q", [Arm(model, model) for model in models], serial=serial, cold=cold)


async def run(generation: Generation, comparison: Comparison) -> list[Event]:
    return [event async for event in compare(chain(generation), comparison)]


@pytest.mark.parametrize("serial", [True, False])
async def test_every_arm_answers_from_the_context_that_was_found_once(serial: bool) -> None:
    generation = Generation()
    frozen, *events = await run(generation, asked("a", "b", "c", serial=serial))
    assert isinstance(frozen, Frozen)
    assert frozen.context.context_id == context_id(PASSAGES)
    done = [event for event in events if isinstance(event, ArmDone)]
    assert {each.arm.name: each.content for each in done} == {m: f"{m} says fact 1." for m in "abc"}
    assert {each.context_id for each in done} == {context_id(PASSAGES)}
    assert all(each.reasoning == f"{each.arm.name} thinks" for each in done)
    assert generation.found == 1
    assert generation.most == (1 if serial else 3)


async def test_serial_arms_are_whole_one_after_the_other() -> None:
    _, *events = await run(Generation(), asked("a", "b", serial=True))
    order = [event.arm if isinstance(event, ArmPiece) else event.arm.name for event in events]  # type: ignore[union-attr]
    assert order == sorted(order)


@pytest.mark.parametrize("serial", [True, False])
async def test_one_arm_that_fails_is_its_own_result(serial: bool) -> None:
    _, *events = await run(Generation(broken=["b"]), asked("a", "b", "c", serial=serial))
    done = {event.arm.name: event for event in events if isinstance(event, ArmDone)}
    assert [name for name, each in done.items() if each.error] == ["b"]
    assert isinstance(done["b"].error, ServiceUnavailable)
    assert (done["b"].finished, done["b"].reasoning) == (None, "b thinks")
    assert done["c"].finished is not None


async def test_an_arm_with_a_thinking_budget_is_asked_to_think() -> None:
    generation = Generation()
    arms = [parse_arm(text) for text in ("a", "b@0", "c@64")]
    await run(generation, Comparison("q", arms))
    assert generation.told_to_think == {"a": False, "b": False, "c": True}


async def test_no_prompt_begins_as_another_one_does() -> None:
    generation = Generation()
    await run(generation, asked("a", "b"))
    first = {prompt.splitlines()[0] for prompt in generation.prompts.values()}
    assert len(first) == 2
    await run(generation, asked("a", "b", cold=False))
    assert generation.prompts["a"] == generation.prompts["b"]


async def test_an_arm_that_sees_another_context_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = chain(Generation())
    whole = RagPipeline.answer_from

    def other(self: RagPipeline, question: object, found: Evidence, *rest: object) -> object:
        seen = Evidence(found.passages[1:]) if question.model == "b" else found  # type: ignore[attr-defined]
        return whole(self, question, seen, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(RagPipeline, "answer_from", other)
    events = [event async for event in compare(pipeline, asked("a", "b"))]
    done = {event.arm.name: event for event in events if isinstance(event, ArmDone)}
    assert done["a"].error is None
    assert done["b"].error is not None
    assert "another context" in done["b"].error.message


async def test_closing_the_comparison_closes_every_arm() -> None:
    generation = Generation()
    generation.hold.clear()
    events = compare(chain(generation), asked("a", "b", "c"))
    while not isinstance(await anext(events), ArmPiece):
        pass
    await events.aclose()
    assert (generation.running, generation.closed) == (0, 3)


@pytest.mark.parametrize("models", [(), ("a", "a")])
async def test_no_arms_and_arms_of_one_name_are_refused(models: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="arms"):
        await run(Generation(), asked(*models))


async def test_an_arm_without_passages_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"b:direct.*without passages.*name b"):
        await run(Generation(), asked("a", "b:direct"))
