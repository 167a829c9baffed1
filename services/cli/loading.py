"""`ragline load`: how many users each arm serves within its objectives, on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from pipelines.arms import parse_arm
from pipelines.evaluation.load.driver import Ask, Bounds, Gateway, interleaved, run
from pipelines.evaluation.load.records import (
    LoadCell,
    LoadConditions,
    LoadReport,
    Quantile,
    Sample,
    Slo,
)
from pipelines.evaluation.load.results import cell, verdicts
from pipelines.evaluation.runner.asking import LOADING_SECONDS
from pipelines.evaluation.runner.manifest import machine, versions
from services.cli.console import Output, Spinner
from services.cli.errors import UsageError
from services.core.client import HttpClient
from services.core.clients.decode import decode
from services.core.errors import InvalidRequest, NotFound, ServiceUnavailable
from services.core.wire.chat import ModelInfo, ModelList
from services.core.wire.compare import ArmRequest

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
        """Seconds that it takes at most, the drain of each cell aside; None: as long as the requests take."""
        if self.bounds.seconds is None:
            return None
        return self.bounds.seconds * len(self.arms) * len(self.concurrencies)


def arms_of(text: str, max_tokens: int | None) -> tuple[ArmRequest, ...]:
    """From the short form, `MODEL[+PROMPT][@TOKENS]`, separated by commas. Says what is wrong with it."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        arm = parse_arm(part)
        found.append(
            ArmRequest(
                name=arm.name,
                model=arm.model,
                prompt=arm.prompt if "+" in part else "",
                max_tokens=max_tokens,
                max_reasoning_tokens=arm.sampling.max_reasoning_tokens,
            )
        )
    names = [arm.name for arm in found]
    if not found or len(set(names)) < len(names):
        raise InvalidRequest(f"arms {text!r}: name at least one, and none twice")
    return tuple(found)


def shuffled(questions: Sequence[str], seed: int) -> tuple[str, ...]:
    """Different ones, in an order of the seed: a file may have those of one document in a row."""
    different = list(dict.fromkeys(questions))
    return tuple(random.Random(seed).sample(different, len(different)))


def concurrencies_of(text: str) -> tuple[int, ...]:
    """`1,2,4` in rising order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= MOST_USERS for part in parts):
        raise InvalidRequest(f"concurrency {text!r}: write numbers from 1 to {MOST_USERS}, such as 1,2,4,8")
    return tuple(sorted({int(part) for part in parts}))


def check_target(url: str, *, allow_remote: bool) -> None:
    """UsageError where the target is another machine and nobody said that it may be."""
    host = urlsplit(url).hostname or ""
    if allow_remote or host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return
    raise UsageError(
        f"{url} is not this machine: a load test takes a service away from those who use it, and a bill may "
        "come of it; --allow-remote says that it is yours to load"
    )


async def load(plan: Plan, client: HttpClient, out: Path, output: Output) -> LoadReport:
    """Warm up, run every cell, print a row for each; the report is written after each cell."""
    models = await _entries(plan.arms, client)
    gateway = Gateway(client, plan.collection, plan.timeout, plan.cold)
    await _warm_up(plan, gateway.ask, output)
    about = f", at most {plan.longest:.0f} s and the last answers" if plan.longest is not None else ""
    output.line(f"{len(plan.arms) * len(plan.concurrencies)} cells{about}")
    started = datetime.now(UTC).isoformat(timespec="seconds")
    cells: list[LoadCell] = []
    for arm, users in interleaved(plan.arms, plan.concurrencies, plan.seed):
        with output.spinner(f"{arm.name}, {users} at once") as spinner:
            samples, seconds = await run(
                gateway.ask,
                arm,
                _turned(plan, len(cells)),
                users,
                plan.bounds,
                _Counter(spinner, arm.name, users),
            )
        cells.append(cell(arm.name, users, samples, plan.slo, seconds))
        report = _report(plan, client.base_url, started, models, cells)
        await asyncio.to_thread(out.write_text, report.model_dump_json(indent=1) + "\n", "utf-8")
        output.line(_said(cells[-1]))
    show(report, output)
    return report


def show(report: LoadReport, output: Output) -> None:
    """The table, the sentences, and what a reader must know first."""
    header = ["arm", "users", "requests", "errors", "TTFO p50", "TTFO p95", "E2EL p50", "E2EL p95"]
    rows = [[*header, "answers/s", "goodput/s", "within"]]
    for each in report.cells:
        share = "-" if each.share_within_slo is None else f"{each.share_within_slo:.0%}"
        figures = [_shown(quantiles, level) for quantiles in (each.ttfo, each.e2el) for level in (0.5, 0.95)]
        counts = [each.arm, str(each.concurrency), str(each.requests), str(sum(each.errors.values()))]
        rows.append([*counts, *figures, f"{each.throughput:.3g}", f"{each.goodput:.3g}", share])
    output.line()
    output.table(rows)
    output.line(
        "Seconds. A median needs 6 requests, a p95 72; a request that failed has no time, but counts."
    )
    output.line()
    for verdict in report.verdicts:
        output.line(verdict.sentence)
    for warning in warnings(report):
        output.problem(warning)


def warnings(report: LoadReport) -> list[str]:
    found = []
    for name in dict.fromkeys(each.arm for each in report.cells):
        own = [each for each in report.cells if each.arm == name]
        asked, without = sum(each.requests for each in own), sum(each.abstained for each in own)
        if asked and without > asked / 5:
            found.append(
                f"{name}: {without} of {asked} questions found no passage, so that no model was asked: "
                "the questions are not about this collection, and its figures are too good"
            )
    return found


async def _entries(arms: Sequence[ArmRequest], client: HttpClient) -> tuple[ModelInfo, ...]:
    """The entries that the arms use. NotFound, before anything is asked, where one is none."""
    listed = decode(_MODELS, await client.get("/v1/models"), client.service).data
    by_name = {name: each for each in listed for name in (each.id, *each.aliases)}
    default = next((each for each in listed if each.default), None)
    used: dict[str, ModelInfo] = {}
    for arm in arms:
        entry = by_name.get(arm.model) if arm.model else default
        if entry is None:
            names = ", ".join(each.id for each in listed)
            raise NotFound(f"arm {arm.name}: there is no model entry {arm.model!r}: it is one of {names}")
        used[entry.id] = entry
    return tuple(used.values())


async def _warm_up(plan: Plan, ask: Ask, output: Output) -> None:
    """Each arm answers alone first: models are loaded, connections open. UsageError where it cannot."""
    for arm in plan.arms:
        for turn in range(plan.warm_up):
            sample = await once_loaded(ask, arm, plan.questions[-1 - turn % len(plan.questions)], output)
            if sample.error:
                raise UsageError(
                    f"arm {arm.name} fails in the warm-up already: {sample.detail or sample.error}"
                )


async def once_loaded(ask: Ask, arm: ArmRequest, question: str, output: Output) -> Sample:
    """The arm's answer. A model that is being fetched or loaded is waited for: nothing is measured yet."""
    end, said = time.monotonic() + LOADING_SECONDS, ""
    while True:
        sample = await ask(arm, question, 1)
        if sample.error != ServiceUnavailable.code or time.monotonic() > end:
            return sample
        if sample.detail != said:
            output.line(f"{arm.name} waits: {sample.detail}")
            said = sample.detail
        await asyncio.sleep(LOADING_PAUSE)


def _turned(plan: Plan, cells: int) -> list[str]:
    """The questions, begun at another one in each cell of the same arm, the same for all arms of a round."""
    at = (cells // len(plan.arms)) * max(1, len(plan.questions) // len(plan.concurrencies))
    at %= len(plan.questions)
    return [*plan.questions[at:], *plan.questions[:at]]


def _report(
    plan: Plan, target: str, started: str, models: tuple[ModelInfo, ...], cells: Sequence[LoadCell]
) -> LoadReport:
    order = [arm.name for arm in plan.arms]
    ordered = sorted(cells, key=lambda each: (order.index(each.arm), each.concurrency))
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
        versions=versions(),
        machine=machine(),
        cells=tuple(ordered),
        verdicts=verdicts(ordered, plan.slo, plan.target_share),
    )


class _Counter:
    """Counts in the status line."""

    def __init__(self, spinner: Spinner, arm: str, users: int) -> None:
        self._spinner, self._what, self._seen = spinner, f"{arm}, {users} at once", 0

    def __call__(self, sample: Sample) -> None:
        self._seen += 1
        self._spinner.say(f"{self._what}: {self._seen} answered")


def _said(done: LoadCell) -> str:
    failed = f", {sum(done.errors.values())} failed" if done.errors else ""
    within = "" if done.share_within_slo is None else f", {done.share_within_slo:.0%} within the objectives"
    took = f"{done.requests} requests in {done.duration_seconds:.0f} s"
    return f"{done.arm}, {done.concurrency} at once: {took}{failed}{within}"


def _shown(quantiles: Sequence[Quantile], level: float) -> str:
    value = next((each.value for each in quantiles if each.level == level), None)
    return "insufficient" if value is None else f"{value / 1e3:.2f}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
