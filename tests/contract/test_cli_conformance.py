"""`ragline conformance` as a process: against an endpoint that conforms, one that does not, and an entry."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from pipelines.conformance.checks import Observed, Reply, Stream, judge
from services.core.errors import MalformedRequest, ServiceError
from services.core.wire.chat import Usage
from services.generation.app import create
from services.generation.settings import Settings
from tests.command_line import call_ragline

Serve = Callable[[ASGIApp], str]
COMMAND = [sys.executable, "-c", "from services.cli.main import main; main()", "conformance"]
ALONE = {"COLUMNS": "200"}
MODEL = "deepseek-ai/DeepSeek-R1-0528"


def conformance(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "FAKE_"))}
    environment = {**inherited, "COLUMNS": "200", **env}
    return subprocess.run(  # noqa: PLW1510 - its status is what is tested
        [*COMMAND, *options], env=environment, capture_output=True, text=True, timeout=120
    )


def results(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The result of each check."""
    rows = [line.split("  ") for line in run.stdout.splitlines() if "  " in line]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return {row[0]: row[1] for row in cells[1:]}


@pytest.fixture(scope="module")
def thinker(serve: Serve) -> str:
    """A server that keeps the channels apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REASONING_TOKENS", "2")
        return serve(create(Settings(engine="fake", model_id=MODEL, backend="thinker")))


@pytest.fixture(scope="module")
def leaker(serve: Serve) -> str:
    """A server without a reasoning parser: the trace is in the text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REASONING_TOKENS", "2")
        patch.setenv("FAKE_REASONING_FORMAT", "tags")
        return serve(create(Settings(engine="fake", model_id=MODEL, backend="leaker", profile="none")))


def test_an_endpoint_that_conforms(thinker: str) -> None:
    run = conformance("--endpoint", thinker, "--model", MODEL, "--raw")
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(results(run).values()) == {"pass"}
    assert "0 failed, 0 not applicable" in run.stdout


def test_one_that_leaks_its_trace(leaker: str) -> None:
    run = conformance("--endpoint", f"{leaker}/v1", "--model", MODEL, "--raw")
    assert run.returncode == 1, run.stdout + run.stderr
    found = results(run)
    failed = {name for name, result in found.items() if result == "fail"}
    assert failed == {"reasoning is a channel of its own", "no tags in the content"}
    assert "'<think>' in the stream's content" in run.stdout


def test_the_same_one_behind_ragline(leaker: str) -> None:
    run = conformance("--endpoint", leaker, "--model", MODEL)
    assert run.returncode == 0, run.stdout + run.stderr
    assert results(run)["no tags in the content"] == "pass"
    assert results(run)["reasoning is a channel of its own"] == "pass"


def test_a_model_entry(thinker: str) -> None:
    run = conformance("--entry", "thinker", GENERATION_URL=thinker)
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_endpoint_that_is_not_there() -> None:
    run = call_ragline("conformance", "--endpoint", "http://127.0.0.1:9", "--model", "m", "--raw", env=ALONE)
    assert run.returncode == 1
    assert "endpoint is down" in run.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --endpoint and --model of a server, or --entry"),
        (("--endpoint", "http://x"), "--endpoint needs --model"),
        (("--endpoint", "x:1", "--model", "m"), "must start with http"),
        (("--entry", "small", "--raw"), "--raw checks an --endpoint"),
    ],
)
def test_what_is_to_be_checked_must_be_said(options: tuple[str, ...], message: str) -> None:
    run = call_ragline("conformance", *options, env=ALONE)
    assert run.returncode == 1
    assert message in run.stderr


USAGE = Usage(prompt_tokens=1, completion_tokens=1, total_tokens=2)


def good() -> Observed:
    stream = Stream("Yes.", "Hm.", ["reasoning", "content"], "stop", USAGE, True, 0, 0.1)
    cut = Stream("", "Hm", ["reasoning"], "length", USAGE, True, 0, 0.1)
    refused = MalformedRequest("no")
    refusals = {"no messages": refused, "unknown model": refused, "broken JSON": refused}
    return Observed(stream, Reply("Yes.", "Hm.", "stop", USAGE), cut, cut, dict(refusals))


def failing(seen: Observed) -> set[str]:
    return {name for name, result, _ in judge(seen) if result == "fail"}


def test_every_check_can_fail() -> None:
    assert failing(good()) == set()
    seen = good()
    seen.stream.content, seen.stream.usage = "", None
    seen.stream.done = False
    assert failing(seen) == {
        "answers",
        "usage is there",
        "stream ends in [DONE]",
        "content is never empty with stop",
    }
    seen = good()
    seen.stream.channels = ["content", "reasoning"]
    seen.stream.finish_reason = "eos_token"
    seen.cut.finish_reason = "stop"
    seen.after_cancel.first_seconds = None
    assert failing(seen) == {
        "reasoning comes first",
        "finish reason is real",
        "a limit is told as one",
        "content is never empty with stop",
        "a hang-up frees the engine",
    }
    seen = good()
    seen.refusals.update({"no messages": None, "unknown model": ServiceError("boom")})
    assert failing(seen) == {"refuses: no messages", "refuses: unknown model"}


def test_a_model_that_does_not_think_is_not_blamed() -> None:
    seen = good()
    seen.stream.reasoning, seen.stream.channels = "", ["content"]
    quiet = Observed(seen.stream, Reply("Yes.", "", "stop", USAGE), seen.cut, seen.cut, seen.refusals)
    results = {name: result for name, result, _ in judge(quiet)}
    assert results["reasoning is a channel of its own"] == results["reasoning comes first"] == "n/a"
    assert "fail" not in results.values()
