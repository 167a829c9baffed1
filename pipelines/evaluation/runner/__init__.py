"""Asking every arm every question, from frozen contexts, into a bundle; goes on after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Count:
    """How far a column is when its stage begins: `done` of `total`."""

    done: int
    total: int


class Watcher(Protocol):
    """Follows a run through its stages, in order; a stage ends where the next one begins, or the run ends."""

    def say(self, text: str) -> None:
        """Take a remark about the run.

        Args:
            text: One sentence.
        """
        ...

    def note(self, text: str) -> None:
        """Take the present state of what the run decides.

        Args:
            text: One line; the next one takes its place.
        """
        ...

    def begin(self, title: str, columns: Mapping[str, Count]) -> None:
        """Begin a stage.

        Args:
            title: The stage's name.
            columns: What is counted in it, by name: arms, or one thing with the stage's name.
        """
        ...

    def advance(self, column: str, *, failed: bool = False) -> None:
        """Count one more of a column of the present stage.

        Args:
            column: A name from `columns`.
            failed: Whether this one failed; it counts as done.
        """
        ...


class SilentWatcher:
    """A `Watcher` that shows nothing."""

    def say(self, text: str) -> None:
        del text

    def note(self, text: str) -> None:
        del text

    def begin(self, title: str, columns: Mapping[str, Count]) -> None:
        del title, columns

    def advance(self, column: str, *, failed: bool = False) -> None:
        del column, failed
