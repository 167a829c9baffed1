"""Runs users against the gateway in a closed loop: each asks, reads the whole answer, and asks again.

Clocks are the client's: from the request's first byte out to the first event, the first piece of the answer,
the last event. A request that was begun counts, however long it takes; only its own timeout ends it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson
from pydantic import TypeAdapter

from pipelines.evaluation.load.records import Sample
from services.core.client import HttpClient
from services.core.context import new_request_id, start_request
from services.core.errors import RaglineError, ServiceError, from_detail
from services.core.wire.compare import ArmReply, ArmRequest, CompareRequest
from services.core.wire.encoding import decode

Ask = Callable[[ArmRequest, str, int], Awaitable[Sample]]
"""Asks an arm a question at a concurrency, and never fails: errors are in the sample."""

_ARM = TypeAdapter(ArmReply)


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a cell ends: after so many `requests` or so many `seconds`; one of them may be None.

    `pause` is how long a user waits after an answer, in seconds.
    """

    requests: int | None
    seconds: float | None
    pause: float = 0.0


@dataclass(slots=True)
class _Seen:
    """When a request started, its first piece of any kind came, and the first piece of its answer."""

    started: float
    first: float | None = None
    answer: float | None = None

    @property
    def ttft(self) -> float | None:
        return _milliseconds(self.started, self.first)

    @property
    def ttfo(self) -> float | None:
        return _milliseconds(self.started, self.answer)


@dataclass(frozen=True, slots=True)
class LoadGateway:
    """Asks the gateway's `/v1/compare` with one arm.

    It is the same chain as a chat, but an arm may have a prompt strategy, and with `cold` its prompt begins
    with a line of its own.
    """

    client: HttpClient
    collection: str
    timeout: float
    cold: bool = True

    async def ask(self, arm: ArmRequest, question: str, concurrency: int) -> Sample:
        """Ask once, and time it; see `Ask`."""
        start_request(new_request_id(), self.timeout)
        body = CompareRequest.model_validate(
            {
                "question": question,
                "arms": [arm],
                "grounding": "off",
                "rag": {"collection": self.collection},
                "cold": self.cold,
                "stream": True,
            }
        )
        seen = _Seen(time.perf_counter())
        try:
            reply = await self._stream(body, seen)
        except RaglineError as error:
            return _failed_sample(arm, concurrency, seen, error)
        ended = time.perf_counter()
        if reply.error is not None:
            return _failed_sample(arm, concurrency, seen, from_detail(reply.error, service="gateway"))
        tokens = reply.usage.completion_tokens if reply.usage else 0
        started, ttft = seen.started, seen.ttft
        e2el = (ended - started) * 1e3
        return Sample(
            arm=arm.name,
            concurrency=concurrency,
            started=started,
            ended=ended,
            abstained=reply.status == "abstained",
            truncated=reply.status == "reasoning_truncated",
            tokens=tokens,
            ttft=ttft,
            ttfo=seen.ttfo,
            e2el=e2el,
            tpot=(e2el - ttft) / (tokens - 1) if ttft is not None and tokens > 1 else None,
        )

    async def _stream(self, body: CompareRequest, seen: _Seen) -> ArmReply:
        """The arm's reply; what was seen of it on the way is noted in `seen`, also where it then fails."""
        reply: ArmReply | None = None
        async for event in self.client.stream(
            "/v1/compare", body.model_dump_json(exclude_none=True).encode()
        ):
            now = time.perf_counter()
            if event.event == "delta":
                seen.first = seen.first or now
                if orjson.loads(event.data).get("content"):
                    seen.answer = seen.answer or now
            elif event.event == "arm":
                reply = decode(_ARM, event.data, self.client.service)
        if reply is None:
            raise ServiceError("the answer broke off before its end", service=self.client.service)
        return reply


async def run_cell(  # noqa: PLR0917 - a cell is made of these
    ask: Ask,
    arm: ArmRequest,
    questions: Sequence[str],
    concurrency: int,
    bounds: Bounds,
    sample_done: Callable[[Sample], None] = lambda _: None,
) -> tuple[list[Sample], float]:
    """Let `concurrency` users ask until the cell ends.

    The users take the questions in turn, so that no two ask the same at once while there are others.

    Args:
        ask: Asks one question.
        arm: Who answers.
        questions: Asked from the first one on, and again when all were asked.
        concurrency: How many users there are.
        bounds: When the cell ends.
        sample_done: Called with each sample.

    Returns:
        The samples, and the seconds from the first request to the last answer.
    """
    samples: list[Sample] = []
    begun = 0
    start = time.perf_counter()

    async def user() -> None:
        nonlocal begun
        while _may_begin(begun, time.perf_counter() - start, bounds):
            question = questions[begun % len(questions)]
            begun += 1
            sample = await ask(arm, question, concurrency)
            samples.append(sample)
            sample_done(sample)
            if bounds.pause:
                await asyncio.sleep(bounds.pause)

    async with asyncio.TaskGroup() as users:
        for _ in range(concurrency):
            users.create_task(user())
    ended = max((sample.ended for sample in samples), default=start)
    return samples, ended - start


def interleave_cells(
    arms: Sequence[ArmRequest], concurrencies: Sequence[int], seed: int
) -> list[tuple[ArmRequest, int]]:
    """Order the cells, every arm with every concurrency: the concurrencies upwards, within each the arms at
    random, so that no arm has the cool machine to itself."""
    generator = random.Random(seed)
    return [(arm, at) for at in sorted(concurrencies) for arm in generator.sample(list(arms), len(arms))]


def _may_begin(begun: int, seconds: float, bounds: Bounds) -> bool:
    if bounds.requests is not None and begun >= bounds.requests:
        return False
    return bounds.seconds is None or seconds < bounds.seconds


def _failed_sample(arm: ArmRequest, concurrency: int, seen: _Seen, error: RaglineError) -> Sample:
    return Sample(
        arm=arm.name,
        concurrency=concurrency,
        started=seen.started,
        ended=time.perf_counter(),
        error=error.code,
        detail=error.message,
        ttft=seen.ttft,
        ttfo=seen.ttfo,
    )


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else (end - start) * 1e3
