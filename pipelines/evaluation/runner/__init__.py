"""Asking every arm every question, from frozen contexts, into a bundle; goes on after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Count:
    """`done` of `total` already, when a stage begins."""

    done: int
    total: int


class Watcher(Protocol):
    """Told of a run's stages, in order; a stage ends where the next one begins, or the run."""

    def say(self, text: str) -> None: ...

    def begin(self, title: str, columns: Mapping[str, Count]) -> None: ...

    def advance(self, column: str, *, failed: bool = False) -> None: ...


class Silent:
    """Watches nothing."""

    def say(self, text: str) -> None:
        del text

    def begin(self, title: str, columns: Mapping[str, Count]) -> None:
        del title, columns

    def advance(self, column: str, *, failed: bool = False) -> None:
        del column, failed
