"""A judge over a run's answers, after all of them are there: its work is beside no arm's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.evaluation.bundle.records import AnswerPair, Bundle, JudgeRecord, JudgeReply, pair_answers
from pipelines.evaluation.bundle.store import BundleStore
from pipelines.evaluation.judge import SYSTEM, Judge, judge_prompt, open_judge
from pipelines.evaluation.runner import Count, Watcher
from pipelines.evaluation.runner.asking import LOADING_SECONDS, LONGEST_PAUSE, PATIENCE_SECONDS, Sleep, pauses
from pipelines.evaluation.runner.checks import check_can_answer
from services.core.clients.generation import GenerationClient
from services.core.context import request_id, start_request
from services.core.errors import InvalidRequest, RaglineError, RateLimited, ServiceUnavailable, Unauthorized
from services.core.wire.chat import ChatMessage, ModelInfo
from services.core.wire.compare import ArmRequest

VERDICT_SECONDS = 3600.0
"""The generation service's own DEADLINE_SECONDS is what bounds a verdict."""
VERDICT_TOKENS = 64
"""Of a model that does not think: one line is asked for, and a rambling one is not waited for."""

ShownFirst = Literal["baseline", "arm"]


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """The entry that judges, as the user named it. `may_be_arm`: its model may be that of an arm."""

    entry: str
    client: GenerationClient
    may_be_arm: bool = False


async def prepare_judge(
    request: JudgeRequest, arms: Sequence[ArmRequest], models: Sequence[ModelInfo]
) -> tuple[Judge, JudgeRecord]:
    """Open the judge and make its record, before any model is called.

    Raises:
        InvalidRequest: There is nothing to compare, there is no such entry, or it would judge itself.
        ServiceUnavailable: The entry cannot answer.
    """
    if len(arms) < 2:
        raise InvalidRequest("--judge compares the arms with the first one: name at least two in --arms")
    start_request(uuid.uuid4().hex, VERDICT_SECONDS)
    judge = await open_judge(
        request.client, request.entry, [arm.model for arm in arms], may_be_arm=request.may_be_arm
    )
    model = next((model for model in models if model.id == judge.name), None)
    if model is None:
        raise InvalidRequest(
            f"the judge {judge.name!r} is an entry of the generation service, and none of the gateway's: set "
            "GENERATION_URL to the service that is behind the gateway"
        )
    check_can_answer(model, f"judge {judge.name}")
    if model.profile == "none":
        judge = replace(judge, sampling=judge.sampling.model_copy(update={"max_tokens": VERDICT_TOKENS}))
    sampling = judge.sampling
    return judge, JudgeRecord(
        model=model,
        instruction=SYSTEM,
        temperature=sampling.temperature,
        seed=sampling.seed,
        max_tokens=sampling.max_tokens,
    )


async def judge_all(
    judge: Judge, bundle: Bundle, store: BundleStore, watcher: Watcher, sleep: Sleep = asyncio.sleep
) -> None:
    """Ask for every verdict that the store does not have, one after another, each on the disk before the
    next.

    What the judge fails with is recorded. Raises `ServiceUnavailable` where the generation service stays
    away: what was judged is kept.
    """
    there = {each.key for each in bundle.verdicts}
    asked = {each.id: each for each in bundle.questions}
    contexts = {each.question: each.context.passages for each in bundle.contexts}
    due: list[tuple[AnswerPair, ShownFirst]] = [
        (match, first) for match in pair_answers(bundle) if match.asked for first in ("baseline", "arm")
    ]
    missing = [(m, first) for m, first in due if (m.question, m.arm, m.repeat, first) not in there]
    if not missing:
        return
    watcher.begin("judging", {"verdicts": Count(len(due) - len(missing), len(due))})
    patience = LOADING_SECONDS
    with store.verdicts() as journal:
        for match, first in missing:
            one, other = match.baseline, match.other
            if first == "arm":
                one, other = other, one
            verdict = JudgeReply(question=match.question, arm=match.arm, repeat=match.repeat, first=first)
            try:
                shown = judge_prompt(asked[match.question].text, contexts[match.question], one, other)
                reply = await _patiently(judge, shown, patience, sleep)
                verdict = verdict.model_copy(update={"reply": reply})
            except (ServiceUnavailable, Unauthorized):
                raise
            except RaglineError as error:
                detail = error.body(service="generation", request_id=request_id.get()).error
                verdict = verdict.model_copy(update={"error": detail})
            journal.append(verdict)
            watcher.advance("verdicts", failed=verdict.error is not None)
            patience = PATIENCE_SECONDS


async def _patiently(judge: Judge, shown: Sequence[ChatMessage], patience: float, sleep: Sleep) -> str:
    """The reply, asked for again while the engine is busy, loading or restarting."""
    waits = pauses(patience)
    while True:
        start_request(uuid.uuid4().hex, VERDICT_SECONDS)
        pause = next(waits, None)
        try:
            return await judge.ask(shown)
        except (RateLimited, ServiceUnavailable) as error:
            if pause is None:
                raise
            await sleep(max(pause, min(error.retry_after or 0.0, LONGEST_PAUSE)))
