"""What a command works with: the stack of this machine, and a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.cli.settings import Settings
from services.cli.stack import Stack
from services.core.client import HttpClient
from services.core.settings import parse_environment

T = TypeVar("T")


def stack_here() -> Stack:
    """The services of RAGLINE_HOME, with this process's environment."""
    return Stack(Settings.load().root, parse_environment())


def with_gateway(work: Callable[[HttpClient], Awaitable[T]]) -> T:
    """Run `work` with a client of RAGLINE_URL, else of the gateway that runs here."""
    settings = Settings.load()
    url = settings.url or stack_here().url("gateway")
    headers = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}

    async def call() -> T:
        async with HttpClient("gateway", url, headers=headers) as client:
            return await work(client)

    return asyncio.run(call())
