"""Sampling defaults, as data, and a request made whole with them."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import InvalidRequest
from services.core.wire.chat import ChatRequest
from services.generation.backend import Prompt

MOST_STOPS = 16


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """What a request that says nothing gets. `temperature` 0 is greedy decoding."""

    temperature: float
    top_p: float


GROUNDED = SamplingDefaults(temperature=0.0, top_p=1.0)
"""For answers from given passages: the likeliest words, and the same ones at every repetition."""


def prompt(request: ChatRequest, *, max_tokens: int, defaults: SamplingDefaults = GROUNDED) -> Prompt:
    """The request in an engine's terms. Raises `InvalidRequest` for stop strings that cannot be used."""
    stops = tuple(request.stops)
    if len(stops) > MOST_STOPS or any(not stop for stop in stops):
        raise InvalidRequest(f"`stop`: at most {MOST_STOPS} strings, none of them empty")
    if not any(message.text.strip() for message in request.messages):
        raise InvalidRequest("`messages`: every message is empty, say something")
    return Prompt(
        messages=tuple((_role(message.role), message.text) for message in request.messages),
        max_tokens=request.token_limit or max_tokens,
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        top_p=defaults.top_p if request.top_p is None else request.top_p,
        seed=request.seed,
        stop=stops,
    )


def _role(role: str) -> str:
    """OpenAI renamed `system` to `developer`; the models' chat templates know the old name only."""
    return "system" if role == "developer" else role
