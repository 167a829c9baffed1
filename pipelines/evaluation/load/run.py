"""A load run: the plan, the warm-up, every cell, and the report that is written after each cell."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from pipelines.compare import parse_arm
from pipelines.evaluation.load.driver import Ask, Bounds, LoadGateway, interleave_cells, run_cell
from pipelines.evaluation.load.records import LoadCell, LoadConditions, LoadReport, Sample, Slo
from pipelines.evaluation.load.results import make_cell, make_verdicts
from pipelines.evaluation.runner.asking import LOADING_SECONDS
from pipelines.evaluation.runner.manifest import describe_machine, list_installed_versions
from pipelines.evaluation.settling import wait_until_settled
from services.core.client import HttpClient
from services.core.errors import InvalidRequest, NotFound, ServiceUnavailable
from services.core.files import replace_atomically
from services.core.retry import RetryPolicy
from services.core.wire.chat import ModelInfo, ModelList
from services.core.wire.compare import ArmRequest
from services.core.wire.encoding import decode

MOST_USERS = 256
LOADING_PAUSE = 2.0
COLD = "every prompt begins with a line of its own: no request finds its passages in a prefix cache"
WARM = "prompts as in a chat: passages that come again are found in the engine's prefix cache"

_MODELS = TypeAdapter(ModelList)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to load, and how."""

    arms: tuple[ArmRequest, ...]
    concurrencies: tuple[int, ...]
    bounds: Bounds
    slo: Slo
    target_share: float
    collection: str
    questions: tuple[str, ...]
    timeout: float
    warm_up: int
    seed: int
    cold: bool

    @property
    def longest(self) -> float | None:
        """Seconds that the cells take at most, not counting the last answers; None: no time limit."""
        if self.bounds.seconds is None:
            return None
        return self.bounds.seconds * len(self.arms) * len(self.concurrencies)


class Watcher(Protocol):
    """Follows a load run through its cells."""

    def say(self, text: str) -> None:
        """Take a remark about the run.

        Args:
            text: One sentence.
        """
        ...

    def begin_cell(self, arm: str, users: int) -> Callable[[Sample], None]:
        """Begin a cell.

        Args:
            arm: The arm that is asked.
            users: How many ask at once.

        Returns:
            What is called with each sample of the cell.
        """
        ...

    def end_cell(self, measured: LoadCell) -> None:
        """End a cell, whose report is written.

        Args:
            measured: What the cell came to.
        """
        ...


def parse_arms(text: str, max_tokens: int | None) -> tuple[ArmRequest, ...]:
    """Read arms in their short form, `MODEL[+PROMPT][@TOKENS]`, separated by commas.

    Raises `InvalidRequest` that says what is wrong.
    """
    arms = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        arm = parse_arm(part)
        arms.append(
            ArmRequest(
                name=arm.name,
                model=arm.model,
                prompt=arm.prompt if "+" in part else "",
                max_tokens=max_tokens,
                max_reasoning_tokens=arm.sampling.max_reasoning_tokens,
            )
        )
    names = [arm.name for arm in arms]
    if not arms or len(set(names)) < len(names):
        raise InvalidRequest(f"arms {text!r}: name at least one, and none twice")
    return tuple(arms)


def parse_concurrencies(text: str) -> tuple[int, ...]:
    """Read `1,2,4`; they come back in rising order. Raises `InvalidRequest` that says what is wrong."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= MOST_USERS for part in parts):
        raise InvalidRequest(f"concurrency {text!r}: write numbers from 1 to {MOST_USERS}, such as 1,2,4,8")
    return tuple(sorted({int(part) for part in parts}))


def shuffle_questions(questions: Sequence[str], seed: int) -> tuple[str, ...]:
    """Drop repeated questions and shuffle the rest: a file may have those of one document in a row."""
    different = list(dict.fromkeys(questions))
    return tuple(random.Random(seed).sample(different, len(different)))


def check_target(url: str, *, allow_remote: bool) -> None:
    """Raise `InvalidRequest` where the target is another machine and the user did not allow that."""
    host = urlsplit(url).hostname or ""
    if allow_remote or host == "localhost":
        return
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise InvalidRequest(
        f"{url} is not this machine: a load test takes a service away from those who use it, and a bill may "
        "come of it; --allow-remote says that it is yours to load"
    )


async def run_load(plan: Plan, client: HttpClient, out: Path, watcher: Watcher) -> LoadReport:
    """Warm up and run every cell; the report is written to `out` after each cell.

    Raises:
        NotFound: an arm names no model entry; nothing was asked then.
        InvalidRequest: an arm fails in the warm-up already.
    """
    read_entries = partial(_read_entries, plan.arms, client)
    models = await read_entries()
    gateway = LoadGateway(client, plan.collection, plan.timeout, plan.cold)
    has_waited = True
    while has_waited:  # another engine may have taken over, which is warm only now
        await _warm_up(plan, gateway.ask, watcher)
        models, has_waited = await wait_until_settled(read_entries, {one.id for one in models}, watcher.say)
    about = f", at most {plan.longest:.0f} s and the last answers" if plan.longest is not None else ""
    watcher.say(f"{len(plan.arms) * len(plan.concurrencies)} cells{about}")
    started = datetime.now(UTC).isoformat(timespec="seconds")
    cells: list[LoadCell] = []
    for arm, users in interleave_cells(plan.arms, plan.concurrencies, plan.seed):
        sample_done = watcher.begin_cell(arm.name, users)
        questions = _rotate_questions(plan, len(cells))
        samples, seconds = await run_cell(gateway.ask, arm, questions, users, plan.bounds, sample_done)
        cells.append(make_cell(arm.name, users, samples, plan.slo, seconds))
        report = _make_report(plan, client.base_url, started, models, cells)
        await asyncio.to_thread(replace_atomically, out, report.model_dump_json(indent=1) + "\n")
        watcher.end_cell(cells[-1])
    return report


async def _read_entries(arms: Sequence[ArmRequest], client: HttpClient) -> tuple[ModelInfo, ...]:
    """The model entries that the arms use."""
    listed = decode(_MODELS, await client.get("/v1/models"), client.service).entries
    by_name = {name: model for model in listed for name in (model.id, *model.aliases)}
    default = next((model for model in listed if model.default), None)
    used: dict[str, ModelInfo] = {}
    for arm in arms:
        entry = by_name.get(arm.model) if arm.model else default
        if entry is None:
            names = ", ".join(model.id for model in listed)
            raise NotFound(f"arm {arm.name}: there is no model entry {arm.model!r}: it is one of {names}")
        used[entry.id] = entry
    return tuple(used.values())


async def _warm_up(plan: Plan, ask: Ask, watcher: Watcher) -> None:
    """Let each arm answer alone first, so that models are loaded and connections open."""
    for arm in plan.arms:
        for turn in range(plan.warm_up):
            question = plan.questions[-1 - turn % len(plan.questions)]
            sample = await ask_when_loaded(ask, arm, question, watcher.say)
            if sample.error:
                raise InvalidRequest(
                    f"arm {arm.name} fails in the warm-up already: {sample.detail or sample.error}"
                )


class _NotLoaded(Exception):
    """Raised for a sample whose arm cannot answer yet."""

    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.detail)
        self.sample = sample


async def ask_when_loaded(ask: Ask, arm: ArmRequest, question: str, say: Callable[[str], None]) -> Sample:
    """Ask an arm, again while its model is being fetched or loaded: nothing is measured yet.

    Args:
        ask: Asks one question.
        arm: Who answers.
        question: What is asked.
        say: Takes a sentence about what is waited for, once for each reason.

    Returns:
        The last sample, also where the arm never came up.
    """
    reason = ""

    async def ask_once() -> Sample:
        sample = await ask(arm, question, 1)
        if sample.error == ServiceUnavailable.code:
            raise _NotLoaded(sample)
        return sample

    async def say_reason(error: Exception | None) -> None:
        nonlocal reason
        if isinstance(error, _NotLoaded) and error.sample.detail != reason:
            reason = error.sample.detail
            say(f"{arm.name} waits: {reason}")

    policy = RetryPolicy(
        deadline=LOADING_SECONDS,
        first=LOADING_PAUSE,
        longest=LOADING_PAUSE,
        retries=lambda error: isinstance(error, _NotLoaded),
    )
    try:
        return await policy.call(ask_once, say_reason)
    except _NotLoaded as failure:
        return failure.sample


def _rotate_questions(plan: Plan, cells: int) -> list[str]:
    """The questions, begun at another one in each cell of the same arm, the same for all arms of a round."""
    at = (cells // len(plan.arms)) * max(1, len(plan.questions) // len(plan.concurrencies))
    at %= len(plan.questions)
    return [*plan.questions[at:], *plan.questions[:at]]


def _make_report(
    plan: Plan, target: str, started: str, models: tuple[ModelInfo, ...], cells: Sequence[LoadCell]
) -> LoadReport:
    order = [arm.name for arm in plan.arms]
    ordered = sorted(cells, key=lambda measured: (order.index(measured.arm), measured.concurrency))
    conditions = LoadConditions(
        driver="ragline",
        target=target,
        collection=plan.collection,
        concurrencies=plan.concurrencies,
        requests=plan.bounds.requests,
        duration_seconds=plan.bounds.seconds,
        pause_seconds=plan.bounds.pause,
        warm_up=plan.warm_up,
        seed=plan.seed,
        questions=len(plan.questions),
        cold=plan.cold,
        caches=COLD if plan.cold else WARM,
    )
    return LoadReport(
        version=version("ragline"),
        started=started,
        arms=plan.arms,
        slo=plan.slo,
        target_share=plan.target_share,
        conditions=conditions,
        models=models,
        versions=list_installed_versions(),
        machine=describe_machine(),
        cells=tuple(ordered),
        verdicts=make_verdicts(ordered, plan.slo, plan.target_share),
    )
