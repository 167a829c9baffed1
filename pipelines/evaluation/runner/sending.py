"""Sends a run's requests, a few at once; each answer is on the disk before the next request of its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pipelines.evaluation.bundle.files import Journal
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, Manifest, RunQuestion
from pipelines.evaluation.runner import Count, Watcher
from pipelines.evaluation.runner.asking import Asker
from pipelines.evaluation.runner.energy import PowerMeter
from pipelines.evaluation.runner.plan import PlannedRequest
from services.core.errors import RaglineError
from services.core.wire.compare import ArmRequest


class Stopper(Protocol):
    """Ends a run before all its questions are asked."""

    def take(self, answer: Answer) -> None:
        """Look at an answer that is on the disk."""
        ...

    def has_ended(self, seconds: float) -> bool:
        """Tell, before a question is asked, whether no more are.

        Args:
            seconds: How long was asked so far.
        """
        ...


async def send_requests(
    asker: Asker,
    present: Bundle,
    requests: Sequence[PlannedRequest],
    questions: Mapping[str, RunQuestion],
    contexts: Mapping[str, Context],
    *,
    journal: Journal,
    watcher: Watcher,
    stopper: Stopper | None = None,
    meter: PowerMeter | None = None,
) -> None:
    """Send requests, up to the run's `concurrency` at once.

    Args:
        asker: Who sends them.
        present: The run, with what was answered before.
        requests: What is asked, in order.
        questions: The run's questions by id.
        contexts: Their frozen contexts.
        journal: Where the answers go.
        watcher: Follows the progress.
        stopper: May end the run before a question is asked.
        meter: This machine's power meter; read where one request runs at a time.

    Raises:
        RaglineError, OSError: The gateway went away, or an answer could not be written.
    """
    manifest = present.manifest
    meter = meter if manifest.conditions.serial else None
    arms = {arm.name: arm for arm in manifest.arms}
    done = Counter(answer.arm for answer in present.answers)
    waiting = Counter(request.arm for request in requests)
    watcher.begin("asking", {name: Count(done[name], done[name] + waiting[name]) for name in arms})
    clock = asyncio.get_running_loop().time
    start = clock() - max((_end_seconds(answer) for answer in present.answers), default=0.0)

    def list_due() -> Iterator[PlannedRequest]:
        begun = ""
        for request in requests:
            if stopper is not None and request.question != begun and stopper.has_ended(clock() - start):
                return
            begun = request.question
            yield request

    pending = list_due()

    async def send_pending() -> None:
        for request in pending:
            at = clock() - start
            before = meter.read() if meter is not None else ()
            arm = _with_seed(arms[request.arm], manifest, request.repeat)
            frozen = contexts[request.question].context
            reply, attempts = await asker.ask(questions[request.question].text, arm, frozen)
            answer = Answer(
                question=request.question,
                arm=request.arm,
                repeat=request.repeat,
                order=request.order,
                at=round(at, 3),
                attempts=attempts,
                elapsed=round(clock() - start - at, 3) if reply.status == "failed" else None,
                energy=None if meter is None else meter.joules_between(before, meter.read()),
                reply=reply,
            )
            journal.append(answer)
            watcher.advance(request.arm, failed=reply.status == "failed")
            if stopper is not None:
                stopper.take(answer)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(manifest.conditions.concurrency):
                group.create_task(send_pending())
    except* (RaglineError, OSError) as failures:
        raise _first_failure(failures) from None


def _with_seed(arm: ArmRequest, manifest: Manifest, repeat: int) -> ArmRequest:
    """Give the arm the seed of a repeat: with one seed it would be the same answer again."""
    first = manifest.conditions.seed if arm.seed is None else arm.seed
    return arm.model_copy(update={"seed": first + repeat})


def _end_seconds(answer: Answer) -> float:
    """Tell when an answer ended, in seconds since the run began."""
    timings = answer.reply.timings
    return answer.at + (timings.e2el / 1e3 if timings is not None else 0.0)


def _first_failure(failures: BaseExceptionGroup[RaglineError | OSError]) -> RaglineError | OSError:
    first = failures.exceptions[0]
    return _first_failure(first) if isinstance(first, BaseExceptionGroup) else first
