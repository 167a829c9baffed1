"""The tokens of a question that took several requests, as the engine counted them."""

from __future__ import annotations

from collections.abc import Sequence

from services.generation.backend import TokenCounts


class Tally:
    """`begin` and `end` every request. `prompt` is that of the first: the others read it again."""

    def __init__(self) -> None:
        self._prompt: int | None = None
        self._open = False
        self._unknown = False
        self._told = False
        self._reasoning = 0
        self.completion = 0

    def begin(self) -> None:
        """A request goes out; one before that has not ended was broken off, and its tokens unknown."""
        self._unknown = self._unknown or self._open
        self._open = True

    def end(self, tokens: TokenCounts | None, *, thinking: bool) -> None:
        """A request has ended. `thinking`: all that it generated was."""
        self._open = False
        if tokens is None:
            self._unknown = True
            return
        if self._prompt is None:
            self._prompt = tokens.prompt
        self.completion += tokens.completion
        self._reasoning += tokens.completion if thinking else tokens.reasoning or 0
        self._told = self._told or thinking or bool(tokens.reasoning)

    def counts(self, *, thought: bool) -> TokenCounts | None:
        """All together; None where the engine never counts. `reasoning` is None where there was thinking
        that it did not count."""
        if self._prompt is None:
            return None
        unknown = self._unknown or self._open or (thought and not self._told)
        return TokenCounts(self._prompt, self.completion, None if unknown else self._reasoning)


def together(counts: Sequence[TokenCounts | None]) -> TokenCounts | None:
    """What several entries took, each by its own tokenizer: each has read the prompt too. None where one
    does not count, and so is `reasoning`."""
    known = [each for each in counts if each is not None]
    if not known or len(known) < len(counts):
        return None
    reasoning = [each.reasoning for each in known if each.reasoning is not None]
    return TokenCounts(
        sum(each.prompt for each in known),
        sum(each.completion for each in known),
        sum(reasoning) if len(reasoning) == len(known) else None,
    )
