"""How many tokens a request may think, and by which method that is held. Pure.

`max_reasoning_tokens` says it in tokens; OpenAI's `reasoning_effort` in words, by `EFFORT`; the former
counts where both are set. A request's own `max_tokens` bounds thinking and answer together, as at
OpenAI, and at least half of it, up to `RESERVE` tokens, stays for the answer. Where a request sets no
limit, the thinking comes on top of the longest answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from services.core.wire.chat import ChatRequest, ReasoningEffort
from services.generation.backend import Capabilities
from services.generation.reasoning.profiles import Budget, Profile

EFFORT: Mapping[ReasoningEffort, int] = MappingProxyType(
    {"none": 0, "minimal": 128, "low": 512, "medium": 2048, "high": 8192}
)

RESERVE = 256
"""Tokens of a request's `max_tokens` that the thinking leaves to the answer, or half of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens. `thinking` of 0 is no thinking; `asked`: the request says so itself. `total` bounds both
    together, `answer` is what an answer may take where there is no thinking."""

    thinking: int
    total: int
    answer: int
    asked: bool = False


def limits(request: ChatRequest, profile: Profile, *, answer: int, thinking: int) -> Limits:
    """What the request sets, completed with the settings' longest `answer` and `thinking`."""
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


def method(profile: Profile, capabilities: Capabilities) -> Budget:
    """The best way to hold a budget that both the model and the engine allow.

    `native`: the engine counts. `close`: the thinking is stopped and closed, and the turn continued.
    `reask`: it is stopped, and the question asked again without thinking.
    """
    if profile.budget == "native" and capabilities.native_budget:
        return "native"
    if profile.budget in {"native", "close"}:
        return "close" if capabilities.continuation else "reask"
    return profile.budget


class Estimate:
    """Tokens of a text whose engine tells no counts before its end.

    The larger of the deltas (each is one token or more) and a quarter of the bytes (a token of English
    has about four). For stopping in time alone: it is never reported as a count.
    """

    def __init__(self) -> None:
        self._deltas = self._bytes = 0

    def add(self, text: str) -> int:
        """The estimate with `text`."""
        self._deltas += 1
        self._bytes += len(text.encode())
        return max(self._deltas, self._bytes // 4)
