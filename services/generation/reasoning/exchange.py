"""The requests that one question takes: each is sent to the engine, parsed, counted, and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from services.core.errors import ContextLengthExceeded, DeadlineExceeded
from services.core.wire.chat import Ending
from services.generation.backend import Delta, Engine, Prompt, TokenCounts
from services.generation.reasoning.budget import TokenTally, estimate_tokens
from services.generation.reasoning.conversation import add_system_lines
from services.generation.reasoning.markup import Piece
from services.generation.reasoning.parser import ReasoningParser
from services.generation.reasoning.profiles import Profile
from services.generation.task import Task, WaitLimits

BEAT_SECONDS = 5.0
"""How long nothing is said of a text that is held back while it grows: readers give up who hear nothing."""

MOST_BYTES = 65536
BYTES_OF_TOKEN = 64
"""An engine that sends more than this for each token that it may generate, and `MOST_BYTES` besides, does not
keep to its limit. Only runs of blanks make longer tokens."""


class Exchange:
    """Sends requests to an engine; one parser reads their text, and one tally counts their tokens.

    The deltas that it yields have one channel each, and no finish reason.
    """

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._profile = task.profile
        self._waits = task.waits
        self._tally = TokenTally()
        self._text: list[str] = []
        self._content: list[str] = []
        self._prompt_estimate = self._earlier_estimate = self._estimate = 0
        self.parser = ReasoningParser(task.profile)
        self.thinks = task.limits.thinking > 0
        """Whether a model that is switched by its system text is told to think."""
        self.has_field = False
        """Whether the engine has delivered thinking in a field of its own."""
        self.has_called = False
        """Whether the model has called a tool: that is an answer too."""
        self._misplaced, self._lacks_opener = 0, False
        self._held_from: float | None = None
        self.held_seconds = 0.0
        """For how long text was held back, because its opener may be missing."""
        self._said = time.monotonic()
        """When anything was said last."""
        self.finish_reason: Ending | None = None
        """Of the last request; None where it has not ended."""

    @property
    def text(self) -> str:
        """All text since the last `restart`, as the engine gave it."""
        return "".join(self._text)

    @property
    def content(self) -> str:
        """The text since the last `restart` that did not come in a field for thinking."""
        return "".join(self._content)

    @property
    def completion_tokens(self) -> int:
        """The tokens that were generated until now."""
        return self._tally.completion

    def count_tokens(self, *, thought: bool) -> TokenCounts:
        """Count the tokens of all requests; an estimate where no request got to the engine's own count."""
        counts = self._tally.counts(thought=thought)
        if counts is not None:
            return counts
        completion = self._earlier_estimate + self._estimate
        return TokenCounts(self._prompt_estimate, completion, None if thought else 0, estimated=True)

    def parse_as(self, profile: Profile) -> None:
        """Read what follows with a parser for this profile."""
        self._misplaced = self.misplaced
        self._lacks_opener = self.lacks_opener
        self.parser = ReasoningParser(profile)

    @property
    def misplaced(self) -> int:
        """So many characters of all content, from its start, turned out to be thinking."""
        return self._misplaced + self.parser.misplaced

    @property
    def lacks_opener(self) -> bool:
        """Whether the model has closed thinking that it never opened."""
        return self._lacks_opener or self.parser.lacks_opener

    def restart(self, profile: Profile) -> None:
        """Forget the text, and read what follows with a parser for this profile."""
        self.parse_as(profile)
        self._text.clear()
        self._content.clear()

    async def ask(self, prompt: Prompt, *, only_thinking: bool = False) -> AsyncGenerator[Delta]:
        """Send one request and yield what the parser makes of its text.

        Args:
            prompt: The request.
            only_thinking: All that it generates counts as thinking.

        Raises:
            DeadlineExceeded: The engine sends nothing for longer than the entry's limits allow.
        """
        self.finish_reason = None
        self._tally.begin()
        prompt = add_system_lines(prompt, self._profile, self._engine.capabilities, thinks=self.thinks)
        read = sum(estimate_tokens(text) for _, text in prompt.messages) + estimate_tokens(prompt.prefix)
        self._prompt_estimate = self._prompt_estimate or read
        self._earlier_estimate, self._estimate = self._earlier_estimate + self._estimate, 0
        steps = size = 0
        async with aclosing(wait_for_deltas(self._engine.generate(prompt), self._waits)) as deltas:
            async for delta in deltas:
                self.has_field = self.has_field or bool(delta.reasoning)
                output = delta.reasoning + delta.content
                steps, size = steps + bool(output), size + len(output.encode("utf-8", "replace"))
                # before it is yielded: who has the end of the answer asks for no more, and counts
                self._estimate = max(steps, size // 4)
                self._text.append(output)
                self._content.append(delta.content)
                pieces = self.parser.feed(content=delta.content, reasoning=delta.reasoning)
                now = self._time_holding()
                for parsed in to_deltas(pieces):
                    self._said = now
                    yield parsed
                if output and now - self._said >= BEAT_SECONDS:
                    yield Delta(held_back=max(self.held_seconds, now - self._said))
                    self._said = now
                calls = delta.tool_calls if prompt.features.tools else ()  # nobody offered others
                if calls or delta.logprobs:
                    self.has_called = self.has_called or bool(calls)
                    steps += len(calls)
                    self._estimate = max(steps, size // 4)
                    yield Delta(tool_calls=calls, logprobs=delta.logprobs)
                if delta.finish_reason:
                    self._held_from = None
                    self.finish_reason = delta.finish_reason
                    tokens = complete_counts(delta.tokens, read, self._estimate)
                    self._tally.end(tokens, thinking=only_thinking)
                    return
                if size > MOST_BYTES + BYTES_OF_TOKEN * prompt.max_tokens:
                    self._held_from, self.finish_reason = None, "length"
                    self._tally.end(complete_counts(None, read, self._estimate), thinking=only_thinking)
                    return

    def _time_holding(self) -> float:
        """Add up for how long text is held back. Returns the time."""
        now, since = time.monotonic(), self._held_from
        self.held_seconds += now - since if since is not None else 0.0
        self._held_from = now if self.parser.holds else None
        return now

    async def ask_if_it_fits(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """Send one request as `ask` does, but yield nothing where the thinking has left no room for it."""
        try:
            async with aclosing(self.ask(prompt)) as deltas:
                async for delta in deltas:
                    yield delta
        except ContextLengthExceeded:
            return


def complete_counts(tokens: TokenCounts | None, prompt: int, completion: int) -> TokenCounts:
    """Replace what an engine did not count, or counts as nothing, by our estimates, and mark them."""
    if tokens is None:
        return TokenCounts(prompt, completion, estimated=True)
    if (tokens.prompt or not prompt) and (tokens.completion or not completion):
        return tokens
    return TokenCounts(
        tokens.prompt or prompt, tokens.completion or completion, tokens.reasoning, estimated=True
    )


async def wait_for_deltas(deltas: AsyncGenerator[Delta], waits: WaitLimits) -> AsyncGenerator[Delta]:
    """Yield the deltas of an engine that sends the first, and each after it, in time.

    Raises:
        DeadlineExceeded: It does not; the message says which limit it was.
    """
    seconds, setting = waits.first, "first_token_seconds"
    async with aclosing(deltas):
        while True:
            limit = asyncio.timeout(seconds)
            try:
                async with limit:
                    delta = await anext(deltas, None)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(
                    f"model {waits.name} sent nothing for {seconds:.3g} s ({setting})", service="generation"
                ) from None
            if delta is None:
                return
            seconds, setting = waits.between, "between_tokens_seconds"
            yield delta


def to_deltas(pieces: Iterable[Piece]) -> list[Delta]:
    """Make a delta of each piece."""
    return [
        Delta(content=piece.text) if piece.channel == "content" else Delta(reasoning=piece.text)
        for piece in pieces
    ]
