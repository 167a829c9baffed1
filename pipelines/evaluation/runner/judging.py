"""A judge over a run's answers, after all of them are there: its work is beside no arm's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pipelines.evaluation.bundle.records import AnswerPair, Bundle, JudgeRecord, JudgeReply, pair_answers
from pipelines.evaluation.bundle.store import BundleStore
from pipelines.evaluation.judge import SYSTEM, Judge, judge_prompt, open_judge
from pipelines.evaluation.runner import Count, Watcher
from pipelines.evaluation.runner.asking import BUSY_SECONDS, LOADING_SECONDS, make_engine_retry
from pipelines.evaluation.runner.checks import check_can_answer
from services.core.clients.generation import GenerationClient
from services.core.context import request_id, start_request
from services.core.errors import InvalidRequest, RaglineError, RateLimited, ServiceUnavailable, Unauthorized
from services.core.retry import Sleep
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
    """Ask for every verdict that the store does not have, one after another.

    Each verdict is on the disk before the next is asked for. What the judge fails with is recorded.

    Args:
        judge: Who judges.
        bundle: All answers of the run.
        store: Keeps the verdicts.
        watcher: Follows the progress.
        sleep: Makes the pauses while the engine is busy, loading or restarting.

    Raises:
        ServiceUnavailable: The generation service stays away; what was judged is kept.
    """
    present = {reply.key for reply in bundle.verdicts}
    questions = {question.id: question for question in bundle.questions}
    contexts = {context.question: context.context.passages for context in bundle.contexts}
    due: list[tuple[AnswerPair, ShownFirst]] = [
        (pair, first) for pair in pair_answers(bundle) if pair.comparable for first in ("baseline", "arm")
    ]
    missing = [
        (pair, first) for pair, first in due if (pair.question, pair.arm, pair.repeat, first) not in present
    ]
    if not missing:
        return
    watcher.begin("judging", {"verdicts": Count(len(due) - len(missing), len(due))})
    retry = make_engine_retry(LOADING_SECONDS, _is_transient, sleep)
    with store.open_verdicts() as journal:
        for pair, first in missing:
            one, other = pair.baseline, pair.other
            if first == "arm":
                one, other = other, one
            messages = judge_prompt(questions[pair.question].text, contexts[pair.question], one, other)
            verdict = JudgeReply(question=pair.question, arm=pair.arm, repeat=pair.repeat, first=first)
            try:
                reply = await retry.call(partial(_ask, judge, messages))
                verdict = verdict.model_copy(update={"reply": reply})
            except (ServiceUnavailable, Unauthorized):
                raise
            except RaglineError as error:
                detail = error.body(service="generation", request_id=request_id.get()).error
                verdict = verdict.model_copy(update={"error": detail})
            journal.append(verdict)
            watcher.advance("verdicts", failed=verdict.error is not None)
            retry = make_engine_retry(BUSY_SECONDS, _is_transient, sleep)


async def _ask(judge: Judge, messages: Sequence[ChatMessage]) -> str:
    start_request(uuid.uuid4().hex, VERDICT_SECONDS)
    return await judge.ask(messages)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RateLimited | ServiceUnavailable)
