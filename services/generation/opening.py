"""What an entry's text may begin with: thinking whose opener its chat template has written, or an answer.

A server that does not separate thinking sends such a trace as content, and nothing tells it from an answer
before its closer comes. What is known decides how long the text is held back: the entry's profile, what the
engine knows of the chat template, and what the entry has sent before.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from services.generation.backend import Capabilities
from services.generation.reasoning.profiles import expect_missing_opener, trust_beginning
from services.generation.task import Task

log = structlog.get_logger(__name__)


class Openings:
    """Remembers which entries have ended thinking whose opener never came."""

    def __init__(self) -> None:
        self._lacking: set[str] = set()
        self._held: set[str] = set()

    def note(self, name: str, *, shown: int) -> None:
        """Note that the entry `name` has done so; `shown` characters of it had gone out as the answer."""
        if shown or name not in self._lacking:
            log.warning(
                "the model closed thinking that it never opened: set its entry's profile to prefilled",
                model=name,
                shown=shown,
            )
        self._lacking.add(name)

    def note_held(self, name: str, seconds: float) -> None:
        """Note, once for each entry, that its text was held back for so long."""
        if name not in self._held:
            log.info("the text was held back: set the entry's profile", model=name, seconds=round(seconds, 1))
        self._held.add(name)

    def adapt(self, task: Task, name: str, capabilities: Capabilities) -> Task:
        """Return the task with the profile by which the entry's text has to be read now.

        Args:
            task: The request, as the entry `name` gets it.
            name: The entry.
            capabilities: Its engine's.
        """
        profile = task.profile
        if name in self._lacking or (profile.look_ahead and capabilities.prefills):
            profile = expect_missing_opener(profile)
        elif profile.look_ahead and capabilities.prefills is False:
            profile = trust_beginning(profile)
        return task if profile is task.profile else replace(task, profile=profile)
