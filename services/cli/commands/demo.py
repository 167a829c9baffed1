"""Run everything once, for real.

Starts six services of its own, ingests Ragline's docs and a small knowledge base, asks, abstains, swaps the
model and asks again. Run it in Ragline's checkout. The exit code is 0 only where every step held. With --open
the services stay, and the page opens in your browser, until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
import webbrowser
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from services.cli.answers import Answer
from services.cli.commands.ask import Question, ask
from services.cli.commands.up import stop_signals, wait_for_services
from services.cli.console import Output
from services.cli.errors import DemoFailed
from services.cli.gateway import TOKEN_BYTES
from services.cli.ingesting import ingest
from services.cli.local.activity import ActivityWatch
from services.cli.local.addresses import ROSTER
from services.cli.local.models import fetch_models, needed_models
from services.cli.local.probe import free_ports
from services.cli.local.stack import CALM_POLL_SECONDS, Stack
from services.cli.settings import Settings
from services.cli.uploading import Jobs, Upload, collect_uploads
from services.core.client import HttpClient
from services.core.errors import DeadlineExceeded, RateLimited, ServiceUnavailable
from services.core.retry import RetryPolicy
from services.core.settings import copy_environment
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Run"

T = TypeVar("T")

CORPUS = "docs"
"""Not README: it shows this very demo, which would then answer from its own transcript."""

NO_DEADLINE = 7 * 24 * 3600.0
"""Seconds. What the demo waits for takes as long as it takes: see `ActivityWatch`."""

UNHURRIED = dict.fromkeys(
    (
        "DEADLINE_SECONDS",
        "DATAPREP_DEADLINE_SECONDS",
        "DATAPREP_PARSE_SECONDS",
        "DATAPREP_RETRY_SECONDS",
        "EMBEDDING_SECONDS",
        "GATEWAY_QUEUE_SECONDS",
        "GROUNDING_SECONDS",
        "LLM_BETWEEN_TOKENS_SECONDS",
        "LLM_FIRST_TOKEN_SECONDS",
        "RERANKING_SECONDS",
        "RETRIEVAL_SECONDS",
        "REWRITE_SECONDS",
        "UPLOAD_SECONDS",
    ),
    f"{NO_DEADLINE:.0f}",
)
"""The demo's services do not hurry either: a slow machine misses no deadline, and skips no step."""


def _is_answer(error: Exception) -> bool:
    """Whether a service was there, and failed; one that is too busy to be there is waited for."""
    return not isinstance(error, ServiceUnavailable | DeadlineExceeded | RateLimited)


AGAIN_WHEN_DOWN = RetryPolicy(attempts=5, first=2.0, longest=20.0, jitter=0.5, counts=_is_answer)
"""How often what failed is tried again; how long, `ActivityWatch` decides."""

FROM, TO = "small", "large"


@dataclass(frozen=True, slots=True)
class Step:
    """A question, a word that a right answer holds, or the expectation that there is none."""

    question: str
    holds: str = ""
    abstains: bool = False


STEPS = (
    Step("How many grams are in one pound?", holds="453.59"),
    Step("How long does a French press take?", holds="four minutes"),
    Step("Why is a pound of gold lighter than a pound of feathers?", holds="pounds"),
    Step("Who invented the telephone?", abstains=True),
)
AGAIN = (STEPS[0], STEPS[2])
"""The last question is one that the small model tends to get wrong."""


def command(
    *,
    open_page: Annotated[
        bool, typer.Option("--open", help="Leave the services running, and open the page in a browser.")
    ] = False,
) -> None:
    settings = Settings.load()
    Demo(settings.root, copy_environment(), Path.cwd(), Output.standard()).run(stay=open_page)


def open_browser(url: str, env: Mapping[str, str]) -> bool:
    """Open an address in the user's browser; False where there is none to be seen."""
    if sys.platform.startswith("linux") and not (env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")):
        return False  # what would open is a browser in this very terminal
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


class Demo:
    """One demo, in a stack of its own on free ports and with a store that is thrown away."""

    def __init__(self, home: Path, env: Mapping[str, str], checkout: Path, output: Output) -> None:
        self._home = home
        kept = {name: value for name, value in env.items() if not _changes_demo(name)}
        self._set_aside = sorted(name for name, value in env.items() if value and name not in kept)
        self._env = kept | UNHURRIED | {"LLM_BACKEND": FROM}
        self._checkout = checkout
        self._output = output

    def run(self, *, stay: bool = False) -> None:
        """Run all steps.

        Args:
            stay: Leave the services running until Ctrl-C, and open the page.

        Raises:
            DemoFailed: A step does not hold, or a service ended by itself. What failed is raised as it is.
        """
        if not (self._checkout / CORPUS).is_dir():
            raise DemoFailed(f"run it in Ragline's checkout: there is no folder {CORPUS} here")
        names = list(ROSTER)
        if self._set_aside:
            self._output.problem(f"set aside, as the demo starts all it needs: {', '.join(self._set_aside)}")
        self._print_title("Models")
        models = dict.fromkeys(
            [*needed_models(names, self._env), *needed_models(names, self._env | {"LLM_BACKEND": TO})]
        )
        fetch_models(list(models), self._home, self._output)
        self._output.line(f"here: {', '.join(models)}")
        with tempfile.TemporaryDirectory(prefix="ragline-demo-") as folder:
            run = Path(folder)
            ports, token = free_ports(names), secrets.token_urlsafe(TOKEN_BYTES)
            with Stack(self._home, self.environment(run), ports, run=run / "run", token=token) as stack:
                self._run_steps(stack)
                if stay:
                    self.stay(stack)
                else:
                    self._output.line(
                        "\nYour turn: 'ragline up', then http://127.0.0.1:8888/ in a browser. "
                        "'make demo OPEN=1' leaves these services running, and opens their page."
                    )

    def stay(self, stack: Stack, opens: Callable[[str, Mapping[str, str]], bool] = open_browser) -> None:
        """Name the page's address, open it, and leave the services running until Ctrl-C.

        Args:
            stack: Where they run.
            opens: Opens an address in a browser, given the environment; false where it cannot.

        Raises:
            DemoFailed: A service ended by itself.
        """
        page = f"{stack.url('gateway')}/"
        self._print_title(f"The page: {page}")
        started = set(stack.running)
        with stop_signals(stack.interrupts):
            try:
                if not opens(page, self._env):
                    self._output.line("No browser opens here: open the address in yours.")
                self._output.line(
                    "Drop a file in Documents, ask about it, click the citation. Ctrl-C stops the services, "
                    "and throws away what you brought: 'ragline up' keeps it."
                )
                while started <= set(stack.running):
                    time.sleep(CALM_POLL_SECONDS)
            except KeyboardInterrupt:
                self._output.line("\nstopping")
                return
        ended = ", ".join(f"{name} {stack.end_of(name)}" for name in started - set(stack.running))
        raise DemoFailed(f"{ended}; its log is in {stack.run}")

    def environment(self, folder: Path) -> dict[str, str]:
        """What the demo's services are started with; their stores are in `folder`."""
        stores = {"VECTOR_URL": f"edge://{folder / 'vectors'}", "JOBS_URL": f"sqlite://{folder / 'jobs'}"}
        return self._env | stores

    def _run_steps(self, stack: Stack) -> None:
        self._print_title("Six services")
        begun = time.monotonic()
        for name in ROSTER:
            stack.start(name)
        wait_for_services(stack, list(ROSTER), self._output, timeout=None)
        self._print_title("Ingest Ragline's docs and a knowledge base")
        uploads = collect_uploads([self._checkout / CORPUS])
        failed = self._call(stack, lambda client, _: self._ingest(uploads, client), "the documents' passages")
        if failed:
            raise DemoFailed(f"{failed} of {len(uploads)} files were not ingested")
        for number, step in enumerate(STEPS):
            self._check_step(stack, step, FROM)
            if number == 0:
                self._output.line(f"\nFirst answer {time.monotonic() - begun:.0f} s after the start.")
        self._print_title(f"Swap the model: LLM_BACKEND={TO}, restart generation, nothing else")
        swapping = time.monotonic()
        stack.restart("generation", {"LLM_BACKEND": TO})
        wait_for_services(stack, ["generation"], self._output, timeout=None)
        self._output.line(f"generation was down for {time.monotonic() - swapping:.1f} s")
        for step in AGAIN:
            self._check_step(stack, step, TO)
        self._print_title("Every step held")

    async def _ingest(self, uploads: Sequence[Upload], client: HttpClient) -> int:
        jobs = Jobs(client, seconds=NO_DEADLINE, gone=AGAIN_WHEN_DOWN)
        return await ingest(uploads, client, DEFAULT_COLLECTION, self._output, jobs=jobs)

    def _check_step(self, stack: Stack, step: Step, model: str) -> None:
        self._print_title(f"{step.question}  ({model})")
        answer = self.ask(stack, step.question, model)
        if answer.abstained != step.abstains:
            raise DemoFailed("an abstention was expected" if step.abstains else "an answer was expected")
        if not step.abstains and not answer.citations:
            raise DemoFailed("the answer cites nothing")
        if answer.model not in ("", model):
            raise DemoFailed(f"{answer.model} answered instead of {model}")
        if step.holds.lower() not in answer.content.lower():
            raise DemoFailed(f"the answer does not hold {step.holds!r}")

    def ask(self, stack: Stack, text: str, model: str) -> Answer:
        """Ask, and wait for the answer as long as the services work on it."""
        question = Question(text, model="", collection=DEFAULT_COLLECTION, top_k=None, top_n=None)

        async def once(client: HttpClient, watch: ActivityWatch) -> Answer:
            return await ask(question, client, self._output, seconds=NO_DEADLINE, on_chunk=watch.news)

        return self._call(stack, once, f"the answer of {model}")

    def _call(
        self, stack: Stack, work: Callable[[HttpClient, ActivityWatch], Awaitable[T]], awaited: str
    ) -> T:
        """Do this with the demo's gateway, again where a service is too busy. `awaited` names the result."""

        async def tell(error: Exception | None) -> None:
            if error is not None:
                self._output.problem(f"trying again: {error}")

        async def call() -> T:
            watch = ActivityWatch(stack, stack.recorded, self._output.problem)
            async with HttpClient("gateway", stack.url("gateway")) as client:
                return await watch.keep(AGAIN_WHEN_DOWN.call(lambda: work(client, watch), tell), awaited)

        return asyncio.run(call())

    def _print_title(self, text: str) -> None:
        self._output.line(f"\n== {text}", style="bold")


def _changes_demo(variable: str) -> bool:
    """Whether a variable of the user's would make the demo something else."""
    of_others = variable.startswith(("LLM_", "RERANKING_", "EMBEDDING_", "OIDC_"))
    return of_others or variable.endswith(("_URL", "_PORT")) or variable == "GATEWAY_KEYS_FILE"
