"""Check how an endpoint answers, live.

Asks a few short questions. Checks usage, finish reasons, the two channels and their order, hang-ups and
errors: of the endpoint behind Ragline, or of the endpoint itself with --raw. LLM_API_KEY is sent where it is
set. The exit code is 1 where a check failed.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipelines.conformance.checks import Observed, judge
from pipelines.conformance.endpoint import Endpoint
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import TOKEN_BYTES, local_stack
from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.settings import copy_environment

PANEL = "Look after"
WHY_LENGTH = 90
ENTRY = "endpoint"


def command(
    *,
    endpoint: Annotated[str, typer.Option(help="Base URL of a server, with or without /v1.")] = "",
    model: Annotated[str, typer.Option(help="The model's id at the endpoint.")] = "",
    engine: Annotated[str, typer.Option(help="openai, vllm, tgi, llama-server, ovms, ollama ...")] = "openai",
    entry: Annotated[str, typer.Option(help="Instead: a model entry of the service that runs here.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Check the endpoint itself, without Ragline.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until everything is ready.", min=1)] = 120,
) -> None:
    target = Target(endpoint=endpoint, model=model, engine=engine, entry=entry, raw=raw)
    passed = check_target(target, local_stack(), copy_environment(), Output.standard(), timeout)
    raise typer.Exit(0 if passed else 1)


def print_verdicts(seen: Observed, output: Output) -> bool:
    """Print the table. Returns whether no check failed."""
    checked = judge(seen)
    rows = [("check", "result", "why")]
    rows += [(name, result, " ".join(why.split())[:WHY_LENGTH]) for name, result, why in checked]
    output.table(rows)
    results = [result for _, result, _ in checked]
    output.line(
        f"\n{results.count('pass')} passed, {results.count('fail')} failed, "
        f"{results.count('n/a')} not applicable"
    )
    return "fail" not in results


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be checked: an endpoint through Ragline's `engine`, or as it is (`raw`), or an entry."""

    endpoint: str = ""
    model: str = ""
    engine: str = "openai"
    entry: str = ""
    raw: bool = False

    def __post_init__(self) -> None:
        if bool(self.endpoint) == bool(self.entry):
            raise UsageError("give --endpoint and --model of a server, or --entry of a model entry")
        if self.endpoint and not self.model:
            raise UsageError("--endpoint needs --model: the model's id there")
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise UsageError(f"--endpoint {self.endpoint}: must start with http:// or https://")
        if self.entry and self.raw:
            raise UsageError("--raw checks an --endpoint as it is; an --entry is always behind Ragline")


def check_target(
    target: Target, stack: Stack, env: Mapping[str, str], output: Output, timeout: float
) -> bool:
    """Check and print. Returns whether nothing failed. `stack` is where a model entry's service runs.

    Raises `ServiceDied` or `NotReady` where Ragline cannot use the endpoint.
    """
    if target.raw:
        version = re.search(r"/v\d+/?$", target.endpoint)
        base = target.endpoint[: version.start()] if version else target.endpoint
        prefix = version.group().rstrip("/") if version else "/v1"
        key = env.get("LLM_API_KEY", "")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return asyncio.run(_check_endpoint(base, prefix, target.model, output, headers))
    if target.entry:
        return asyncio.run(
            _check_endpoint(stack.url("generation"), "/v1", target.entry, output, stack.headers("generation"))
        )
    own = {
        "LLM_BACKEND": ENTRY,
        "LLM_BACKENDS": "",
        "LLM_ENGINE": target.engine,
        "LLM_ENDPOINT": target.endpoint,
        "LLM_MODEL_ID": target.model,
    }
    with TemporaryDirectory(prefix="ragline-conformance-") as folder:
        run = Path(folder)
        ports, token = free_ports(["generation"]), secrets.token_urlsafe(TOKEN_BYTES)
        with Stack(stack.home, {**env, **own}, ports, run=run, token=token) as private:
            private.start("generation")
            private.wait_ready(timeout, ["generation"])
            url, headers = private.url("generation"), private.headers("generation")
            return asyncio.run(_check_endpoint(url, "/v1", ENTRY, output, headers))


async def _check_endpoint(
    base_url: str, prefix: str, model: str, output: Output, headers: Mapping[str, str]
) -> bool:
    async with HttpClient("endpoint", base_url, headers=headers) as http:
        return print_verdicts(await Endpoint(http, prefix, model).observe(), output)
