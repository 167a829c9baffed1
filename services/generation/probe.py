"""Asking an engine's own chat template whether it opens the thinking, where no profile knows the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from services.core.errors import RaglineError
from services.generation.backend import Capabilities, Prompt
from services.generation.entries import ModelEntry
from services.generation.reasoning.tags import COMMON
from services.generation.task import profile_of

HELLO = Prompt((("user", "Hello"),), max_tokens=1, temperature=0.0, top_p=1.0)
"""What the template is asked to write."""

SECONDS = 2.0
"""Longest wait for it: it is a rendering of one line."""

log = structlog.get_logger(__name__)


def opens_thinking(rendered: str) -> bool:
    """Tell whether a prompt, as its chat template writes it, ends within a block of thinking."""
    end = rendered.rstrip().lower()
    return any(end.endswith(opener.lower()) for opener, _ in COMMON)


class OpeningProbe:
    """Asks once. An engine that cannot say, or is down, is asked again at the next look.

    Args:
        entry: The entry.
        render: Renders `HELLO` by the engine's chat template. It may raise any `RaglineError`.
    """

    def __init__(self, entry: ModelEntry, render: Callable[[], Awaitable[str]]) -> None:
        self._entry = entry
        self._render = render
        self._wanted = profile_of(entry).look_ahead > 0

    async def look(self, capabilities: Capabilities) -> Capabilities:
        """Return the engine's capabilities with what is known now of its template."""
        if not self._wanted or capabilities.prefills is not None:
            return capabilities
        try:
            async with asyncio.timeout(SECONDS):
                prefills = opens_thinking(await self._render())
        except (RaglineError, TimeoutError) as error:
            log.info("the chat template is not known", model=self._entry.name, reason=str(error))
            return capabilities
        log.info("the chat template is known", model=self._entry.name, opens_thinking=prefills)
        return replace(capabilities, prefills=prefills)
