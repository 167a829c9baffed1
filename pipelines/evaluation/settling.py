"""Waiting for engines that may still change: what they answer before is of another engine than after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from services.core.wire.chat import ModelInfo

POLL_SECONDS = 0.5


async def wait_until_settled(
    read: Callable[[], Awaitable[tuple[ModelInfo, ...]]], names: Collection[str], say: Callable[[str], None]
) -> tuple[tuple[ModelInfo, ...], bool]:
    """Wait until the engines of these entries are the ones that stay.

    Args:
        read: Lists the model entries.
        names: The entries.
        say: Takes a sentence about what is waited for, once each.

    Returns:
        The list at the end, and whether there was anything to wait for.
    """
    said: set[str] = set()
    while True:
        models = await read()
        waits = [f"{model.id}: {model.settling}" for model in models if model.id in names and model.settling]
        if not waits:
            return models, bool(said)
        for text in waits:
            if text not in said:
                said.add(text)
                say(f"{text}; the run waits for that")
        await asyncio.sleep(POLL_SECONDS)
