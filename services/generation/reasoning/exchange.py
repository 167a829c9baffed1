"""The requests that one question takes: each is sent to the engine, parsed, and counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from services.core.errors import ContextLengthExceeded
from services.core.wire.chat import Ending
from services.generation.backend import Delta, Engine, Prompt, TokenCounts
from services.generation.reasoning.budget import TokenTally
from services.generation.reasoning.conversation import add_system_lines
from services.generation.reasoning.parser import Piece, ReasoningParser
from services.generation.reasoning.profiles import Profile


class Exchange:
    """Sends requests to an engine; one parser reads their text, and one tally counts their tokens.

    The deltas that it yields have one channel each, and no finish reason.
    """

    def __init__(self, engine: Engine, profile: Profile, *, thinks: bool) -> None:
        self._engine = engine
        self._profile = profile
        self._tally = TokenTally()
        self._text: list[str] = []
        self.parser = ReasoningParser(profile)
        self.thinks = thinks
        """Whether a model that is switched by its system text is told to think."""
        self.has_field = False
        """Whether the engine has delivered thinking in a field of its own."""
        self.finish_reason: Ending | None = None
        """Of the last request; None where it has not ended."""

    @property
    def text(self) -> str:
        """All text since the last `restart`, as the engine gave it."""
        return "".join(self._text)

    @property
    def completion_tokens(self) -> int:
        """The tokens that were generated until now."""
        return self._tally.completion

    def count_tokens(self, *, thought: bool) -> TokenCounts | None:
        """Count the tokens of all requests; see `TokenTally.counts`."""
        return self._tally.counts(thought=thought)

    def parse_as(self, profile: Profile) -> None:
        """Read what follows with a parser for this profile."""
        self.parser = ReasoningParser(profile)

    def restart(self, profile: Profile) -> None:
        """Forget the text, and read what follows with a parser for this profile."""
        self.parse_as(profile)
        self._text.clear()

    async def ask(self, prompt: Prompt, *, only_thinking: bool = False) -> AsyncGenerator[Delta]:
        """Send one request and yield what the parser makes of its text.

        Args:
            prompt: The request.
            only_thinking: All that it generates counts as thinking.
        """
        self.finish_reason = None
        self._tally.begin()
        prompt = add_system_lines(prompt, self._profile, self._engine.capabilities, thinks=self.thinks)
        async with aclosing(self._engine.generate(prompt)) as deltas:
            async for delta in deltas:
                if delta.reasoning:
                    self.has_field = True
                self._text.append(delta.reasoning or delta.content)
                pieces = self.parser.feed(content=delta.content, reasoning=delta.reasoning)
                for parsed in to_deltas(pieces):
                    yield parsed
                if delta.finish_reason:
                    self.finish_reason = delta.finish_reason
                    self._tally.end(delta.tokens, thinking=only_thinking)
                    return

    async def ask_if_it_fits(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """Send one request as `ask` does, but yield nothing where the thinking has left no room for it."""
        try:
            async with aclosing(self.ask(prompt)) as deltas:
                async for delta in deltas:
                    yield delta
        except ContextLengthExceeded:
            return


def to_deltas(pieces: Iterable[Piece]) -> list[Delta]:
    """Make a delta of each piece."""
    return [
        Delta(content=piece.text) if piece.channel == "content" else Delta(reasoning=piece.text)
        for piece in pieces
    ]
