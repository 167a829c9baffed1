"""One question, one frozen context, N arms: what each model makes of the same passages, side by side."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pipelines.clock import AnswerClock
from pipelines.prompting import PromptName, find_prompt
from pipelines.rag import Finished, Found, Piece, Question, RagPipeline
from pipelines.search import Evidence, Search
from services.core.completion import move_misplaced
from services.core.errors import InvalidRequest, RaglineError, ServiceError
from services.core.wire.answer import FrozenContext, Timings
from services.core.wire.chat import DIRECT, ChatMessage
from services.core.wire.sampling import Sampling

QUEUE = 64
"""Events that wait for a slow reader before the arms are held back."""


_SHORT = re.compile(r"(?P<model>[^+@=]*)(?:\+(?P<prompt>[^@]*))?(?:@(?P<budget>.*))?")


@dataclass(frozen=True, slots=True)
class Arm:
    """`name` tells it apart; `model` is a model entry, empty for the default one."""

    name: str
    model: str = ""
    prompt: PromptName = "plain"
    sampling: Sampling = field(default_factory=Sampling)


def parse_arm(text: str, prompt: PromptName = "plain") -> Arm:
    """Read an arm from `MODEL[+PROMPT][@TOKENS]`: `small`, `small+cite`, `large@512`; `NAME=` may precede.

    `TOKENS` is the thinking budget, 0 for none. Raises `InvalidRequest` that says what is wrong with it.
    """
    name, equals, rest = text.strip().rpartition("=")
    match = _SHORT.fullmatch(rest)
    if match is None or (equals and not name) or not rest:
        raise InvalidRequest(f"arm {text!r}: write MODEL, MODEL+PROMPT, MODEL@TOKENS or NAME=...")
    budget = match["budget"]
    if budget is not None and not budget.isdecimal():
        raise InvalidRequest(f"arm {text!r}: after @ comes the thinking budget in tokens, 0 for none")
    strategy = find_prompt(match["prompt"]) if match["prompt"] is not None else prompt
    # not validated here: a budget out of bounds is the arm's own failure, and the other arms go on
    sampling = Sampling.model_construct(max_reasoning_tokens=None if budget is None else int(budget))
    return Arm(name or rest, match["model"], strategy, sampling)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The question and how it is asked. `serial`: one arm after another, for arms that share hardware."""

    text: str
    arms: Sequence[Arm]
    history: tuple[ChatMessage, ...] = ()
    search: Search = field(default_factory=Search)
    serial: bool = False
    cold: bool = True
    """Each arm's prompt begins with a line of its own, so that no arm finds the passages in a prefix
    cache that another arm filled."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The first event: what all arms answer from, how long it took to find, what had to be left out."""

    context: FrozenContext
    timings: Timings
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmPiece:
    """A piece of one arm's output."""

    arm: str
    content: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ArmDone:
    """The whole of one arm: its answer, or why there is none."""

    arm: Arm
    context_id: str
    content: str = ""
    reasoning: str = ""
    finished: Finished | None = None
    error: RaglineError | None = None


Event = Frozen | ArmPiece | ArmDone


async def compare(pipeline: RagPipeline, asked: Comparison) -> AsyncGenerator[Event]:
    """Yield `Frozen`, then the arms' pieces as they come, each arm ending with its `ArmDone`.

    A failing arm is an `ArmDone` with its error, and the others go on. Closing the generator cancels
    every arm. Raises what finding the passages raises, and `InvalidRequest` where two arms share a name.
    """
    _check(asked.arms)
    clock = AnswerClock(pipeline.metrics)
    evidence = await pipeline.find(
        asked.text, asked.search, clock, history=asked.history, model=asked.arms[0].model
    )
    context = evidence.freeze()
    found = _Frozen(context.context_id, evidence, clock, clock.elapsed())
    yield Frozen(context, clock.timings(), evidence.degraded)
    if asked.serial:
        for place, arm in enumerate(asked.arms):
            # an arm that stalls fails alone: those after it still have their time
            limits = pipeline.limits.share_deadline(len(asked.arms) - place)
            own = replace(pipeline, limits=limits)
            async with aclosing(_answer(own, asked, arm, found)) as events:
                async for event in events:
                    yield event
        return
    async with aclosing(_merge([_answer(pipeline, asked, arm, found) for arm in asked.arms])) as merged:
        async for event in merged:
            yield event


@dataclass(frozen=True, slots=True)
class _Frozen:
    context_id: str
    evidence: Evidence
    clock: AnswerClock
    elapsed: float


def _check(arms: Sequence[Arm]) -> None:
    if not arms:
        raise InvalidRequest("arms: name at least one")
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"arms: {', '.join(twice)} comes twice: give each arm a `name` of its own")
    direct = [arm.model for arm in arms if arm.model.endswith(DIRECT)]
    if direct:
        raise InvalidRequest(
            f"arms: {', '.join(direct)}: NAME{DIRECT} answers without passages, and all arms answer from the "
            f"same: name {direct[0].removesuffix(DIRECT)}"
        )


async def _answer(
    pipeline: RagPipeline, asked: Comparison, arm: Arm, found: _Frozen
) -> AsyncGenerator[Event]:
    """Run one arm, whose clock shows the search's time when it begins."""
    question = Question(
        text=asked.text,
        history=asked.history,
        model=arm.model,
        prompt=arm.prompt,
        search=asked.search,
        # a budget is for thinking: an instruct model that gets one is asked to think
        sampling=arm.sampling.model_copy(update={"think": bool(arm.sampling.max_reasoning_tokens)}),
        salt=f"Session {uuid.uuid4().hex}." if asked.cold else "",
    )
    content: list[str] = []
    reasoning: list[str] = []
    context_id = found.context_id
    finished: Finished | None = None
    error: RaglineError | None = None
    stream = pipeline.answer_from(question, found.evidence, found.clock.resume(found.elapsed))
    try:
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, Piece):
                    content.append(event.content)
                    reasoning.append(event.reasoning)
                    yield ArmPiece(arm.name, event.content, event.reasoning)
                elif isinstance(event, Found):
                    context_id = _require_same(event.context.context_id, found.context_id, arm)
                else:
                    finished = event
    except RaglineError as failure:
        error = failure
    misplaced = finished.misplaced if finished else 0
    answer, thoughts = move_misplaced("".join(content), "".join(reasoning), misplaced)
    yield ArmDone(arm, context_id, answer, thoughts, finished, error)


def _require_same(seen: str, frozen: str, arm: Arm) -> str:
    """Raise `ServiceError` where an arm answered from other passages: its answer proves nothing."""
    if seen != frozen:
        raise ServiceError(
            f"arm {arm.name} saw another context ({seen[:12]}) than {frozen[:12]}: not compared"
        )
    return seen


async def _merge(arms: Sequence[AsyncGenerator[Event]]) -> AsyncGenerator[Event]:
    """Yield the events of all arms as they come; every arm is closed with this."""
    queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue(QUEUE)

    async def drain(events: AsyncGenerator[Event]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    await queue.put(event)
            await queue.put(None)
        except Exception as error:  # noqa: BLE001 - a bug in an arm is the caller's to see, not to wait for
            await queue.put(error)

    tasks = [asyncio.create_task(drain(events)) for events in arms]
    try:
        running = len(tasks)
        while running:
            event = await queue.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                running -= 1
            else:
                yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
