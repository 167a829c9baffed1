"""What commands work with: the services of this machine, and a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.cli.console import Output
from services.cli.local.stack import Stack
from services.cli.settings import Settings
from services.core.client import HttpClient
from services.core.context import seconds_left
from services.core.errors import ServiceUnavailable
from services.core.settings import copy_environment

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0

T = TypeVar("T")


def local_stack() -> Stack:
    """The services of RAGLINE_HOME, with this process's environment."""
    return Stack(Settings.load().root, copy_environment())


def call_gateway(work: Callable[[HttpClient], Awaitable[T]]) -> T:
    """Run `work` with a client of RAGLINE_URL, else of the gateway that runs here."""
    settings = Settings.load()
    url = settings.url or local_stack().url("gateway")
    headers = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}

    async def call() -> T:
        async with HttpClient("gateway", url, headers=headers) as client:
            return await work(client)

    return asyncio.run(call())


async def wait_for_model(ask: Callable[[], Awaitable[T]], output: Output, seconds: float) -> T:
    """Ask again while the model is being fetched or converted (503 with Retry-After).

    What it waits for is shown at each change. Raises the refusal where the request's deadline, or `seconds`
    where it has none, does not allow another wait.
    """
    told = ""
    while True:
        try:
            return await ask()
        except ServiceUnavailable as error:
            left = seconds_left(seconds) or 0.0
            if error.retry_after is None or left <= error.retry_after:
                raise
            if error.message != told:
                told = error.message
                output.problem(f"waiting: {told}")
            await asyncio.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, error.retry_after)))
