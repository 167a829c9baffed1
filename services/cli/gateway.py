"""What commands work with: the services of this machine, and a gateway."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.local.stack import Stack
from services.cli.settings import Settings
from services.core.client import HttpClient
from services.core.context import seconds_left
from services.core.errors import ServiceUnavailable
from services.core.files import replace_atomically
from services.core.retry import RetryPolicy
from services.core.settings import copy_environment

TOKEN_BYTES = 32
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0

T = TypeVar("T")


def local_stack(*, makes_token: bool = False) -> Stack:
    """The services of RAGLINE_HOME, with this process's environment, and the token that is kept there.

    Args:
        makes_token: Whether to make the token where none is kept yet.
    """
    settings = Settings.load()
    token = settings.read_token()
    if makes_token and not token:
        token = make_token(settings.token_file)
    return Stack(settings.root, copy_environment(), token=token)


def make_token(path: Path) -> str:
    """Make the token of this machine's services, once. Returns it, or the one that another process made.

    Raises:
        UsageError: RAGLINE_HOME cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock"), mode=0o600):
            if not path.exists():
                replace_atomically(path, secrets.token_urlsafe(TOKEN_BYTES) + "\n", mode=0o600)
            return path.read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}): set RAGLINE_HOME to another folder"
        ) from None


def call_gateway(work: Callable[[HttpClient], Awaitable[T]]) -> T:
    """Run `work` with a client of RAGLINE_URL, else of the gateway that runs here."""
    settings = Settings.load()
    url = settings.url or local_stack().url("gateway")
    headers = {"authorization": f"Bearer {settings.key}"} if settings.key else {}

    async def call() -> T:
        async with HttpClient("gateway", url, headers=headers) as client:
            return await work(client)

    return asyncio.run(call())


async def wait_for_model(ask: Callable[[], Awaitable[T]], output: Output, seconds: float) -> T:
    """Ask again while a model is being fetched or converted: while the refusal has a Retry-After.

    Args:
        ask: Asks once.
        output: Shows what is waited for, at each change.
        seconds: How long it may take from the first refusal on, where the request has no deadline.

    Raises:
        RaglineError: `ask` failed for another reason, or there is no time left for another wait.
    """
    told = ""

    async def tell(error: Exception | None) -> None:
        nonlocal told
        if isinstance(error, ServiceUnavailable) and error.message != told:
            told = error.message
            output.problem(f"waiting: {told}")

    policy = RetryPolicy(
        deadline=seconds_left(seconds),
        first=SHORTEST_PAUSE,
        longest=SHORTEST_PAUSE,
        longest_retry_after=LONGEST_PAUSE,
        last_try=False,
        retries=lambda error: isinstance(error, ServiceUnavailable) and error.retry_after is not None,
    )
    return await policy.call(ask, tell)
