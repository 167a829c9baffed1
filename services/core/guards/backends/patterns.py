"""Regular expressions of a file, one a line; what any of them finds is forbidden. Needs no server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from services.core.errors import RaglineError
from services.core.guards.guard import Place
from services.core.settings import Settings as BaseSettings


class Settings(BaseSettings):
    """Where the expressions are."""

    path: Path | None = Field(
        None,
        validation_alias="GUARD_PATTERNS",
        description="patterns: a file with a regular expression a line, in any case; # begins a comment",
    )


class PatternGuard:
    """Looks for the expressions; its reason is the line, which gives nothing of the text away."""

    def __init__(self, patterns: Sequence[tuple[int, re.Pattern[str]]]) -> None:
        self._patterns = patterns

    async def judge(self, texts: Sequence[str], place: Place, question: str) -> list[str]:
        return [
            next((f"pattern of line {line}" for line, pattern in self._patterns if pattern.search(text)), "")
            for text in texts
        ]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return


def read_patterns(path: Path) -> list[tuple[int, re.Pattern[str]]]:
    """Read the file: each expression with its line's number. Raises `RaglineError` where it is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RaglineError(f"GUARD_PATTERNS: {path} cannot be read: {error}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append((number, re.compile(text, re.IGNORECASE)))
        except re.error as error:
            raise RaglineError(f"GUARD_PATTERNS: line {number} of {path} is no expression: {error}") from None
    if not found:
        raise RaglineError(f"GUARD_PATTERNS: {path} has no expression")
    return found


async def create() -> PatternGuard:
    path = Settings.load().path
    if path is None:
        raise RaglineError("GUARD_BACKEND=patterns needs GUARD_PATTERNS, a file with an expression a line")
    return PatternGuard(read_patterns(path))
