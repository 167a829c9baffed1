"""How many tokens a request may think, and by which method that is held. Pure.

`max_reasoning_tokens` says it in tokens; OpenAI's `reasoning_effort` in words, by `EFFORT`; the former
counts where both are set. A request's own `max_tokens` bounds thinking and answer together, as at
OpenAI, and at least half of it, up to `RESERVE` tokens, stays for the answer. Where a request sets no
limit, the thinking comes on top of the longest answer.

How hard a model shall think is also said in its own words, where it has some: a profile's `efforts` are the
words of its scale. A request's `reasoning_effort` is passed on where it is one of them; else the word whose
tokens come nearest to the budget from below, or the least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from services.core.wire.chat import ChatRequest
from services.core.wire.sampling import ReasoningEffort
from services.generation.backend import Capabilities, TokenCounts
from services.generation.reasoning.profiles import Budget, Profile

EFFORT: Mapping[ReasoningEffort, int] = MappingProxyType(
    {"none": 0, "minimal": 128, "low": 512, "medium": 2048, "high": 8192}
)

RESERVE = 256
"""Tokens of a request's `max_tokens` that the thinking leaves to the answer, or half of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request in tokens.

    `thinking` of 0 is no thinking; `asked` says that the request sets it itself. `total` bounds both
    together; `answer` is what an answer may take where there is no thinking.
    """

    thinking: int
    total: int
    answer: int
    asked: bool = False


def decide_limits(request: ChatRequest, profile: Profile, *, answer: int, thinking: int) -> Limits:
    """Complete what the request sets with the settings' longest `answer` and `thinking`.

    Args:
        request: The request.
        profile: The model's.
        answer: Tokens of the longest answer.
        thinking: Tokens of the longest thinking.
    """
    wanted = request.max_reasoning_tokens
    if wanted is None and request.reasoning_effort is not None:
        wanted = EFFORT[request.reasoning_effort]
    budget = thinking if wanted is None else wanted
    total = request.token_limit
    if profile.trace == "none":
        return Limits(0, total or answer, total or answer)
    if total is None:
        set_aside = 0 if profile.unsure and wanted is None else budget
        return Limits(budget, answer + set_aside, answer, wanted is not None)
    room = total - max(1, min(RESERVE, total // 2))
    return Limits(min(budget, room), total, total, wanted is not None)


def choose_method(profile: Profile, capabilities: Capabilities) -> Budget:
    """Choose the best way to hold a budget that both the model and the engine allow.

    `native`: the engine counts. `close`: the thinking is stopped and closed, and the turn continued.
    `reask`: it is stopped, and the question asked again without thinking.
    """
    if profile.budget == "native" and capabilities.native_budget:
        return "native"
    if profile.budget in {"native", "close"}:
        return "close" if capabilities.continuation else "reask"
    return profile.budget


class Estimate:
    """Estimates the tokens of a text whose engine tells no counts before its end.

    The larger of the deltas (each is one token or more) and a quarter of the bytes (a token of English
    has about four). For stopping in time alone: it is never reported as a count.
    """

    def __init__(self) -> None:
        self._deltas = self._bytes = 0

    def add(self, text: str) -> int:
        """Add `text` and return the estimate."""
        self._deltas += 1
        self._bytes += len(text.encode())
        return max(self._deltas, self._bytes // 4)


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text whose engine counts nothing: a quarter of its bytes."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def effort_word(request: ChatRequest, profile: Profile, limits: Limits) -> str:
    """Choose the word of the model's scale of effort.

    It is empty where the model has no scale, or where nobody asks for less or more than its template does by
    itself.
    """
    if not profile.efforts or not (limits.asked or not limits.thinking):
        return ""
    asked = request.reasoning_effort
    if request.max_reasoning_tokens is None and asked in profile.efforts:
        return asked or ""
    return next(
        (one for one in reversed(profile.efforts) if EFFORT[one] <= limits.thinking), least_effort(profile)
    )


def least_effort(profile: Profile) -> str:
    """Return the word for the least effort; empty where the model has no scale."""
    return profile.efforts[0] if profile.efforts else ""


class TokenTally:
    """Adds up the tokens of the requests of one question; `begin` and `end` every request.

    The prompt counts once, as the first request read it: the others read it again.
    """

    def __init__(self) -> None:
        self._prompt: int | None = None
        self._open = False
        self._unknown = False
        self._has_reasoning_count = False
        self._reasoning = 0
        self._estimated = False
        self.completion = 0

    def begin(self) -> None:
        """Note that a request goes out. One before that has not ended was broken off: its tokens are
        unknown."""
        self._unknown = self._unknown or self._open
        self._open = True

    def end(self, tokens: TokenCounts | None, *, thinking: bool) -> None:
        """Note that a request has ended; `thinking` says that all it generated was thinking."""
        self._open = False
        if tokens is None:
            self._unknown = True
            return
        if self._prompt is None:
            self._prompt = tokens.prompt
        self._estimated = self._estimated or tokens.estimated
        self.completion += tokens.completion
        self._reasoning += tokens.completion if thinking else tokens.reasoning or 0
        self._has_reasoning_count = self._has_reasoning_count or thinking or bool(tokens.reasoning)

    def counts(self, *, thought: bool) -> TokenCounts | None:
        """Return all tokens together; None where the engine never counts.

        `reasoning` is None where there was thinking that the engine did not count.
        """
        if self._prompt is None:
            return None
        unknown = self._unknown or self._open or (thought and not self._has_reasoning_count)
        reasoning = None if unknown else self._reasoning
        return TokenCounts(self._prompt, self.completion, reasoning, self._estimated)


def sum_counts(counts: Sequence[TokenCounts | None]) -> TokenCounts | None:
    """Add up what several entries took, each by its own tokenizer; each has read the prompt too.

    Returns:
        The sum; None where one of them does not count, and so is its `reasoning`.
    """
    known = [count for count in counts if count is not None]
    if not known or len(known) < len(counts):
        return None
    reasoning = [count.reasoning for count in known if count.reasoning is not None]
    return TokenCounts(
        sum(count.prompt for count in known),
        sum(count.completion for count in known),
        sum(reasoning) if len(reasoning) == len(known) else None,
        any(count.estimated for count in known),
    )
