"""A request as one model entry gets it: made whole with the defaults of the entry and of its profile."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import InvalidRequest, ServiceError
from services.core.wire.chat import ChatRequest
from services.generation.backend import Prompt
from services.generation.entries import ModelEntry
from services.generation.reasoning.budget import Limits, decide_limits, effort_word
from services.generation.reasoning.conversation import fold_system_text, remove_thinking
from services.generation.reasoning.profiles import PROFILES, Profile, find_profile

MOST_STOPS = 16


class NoAnswer(ServiceError):
    """A model that can be reached ended its answer before it began; another entry may answer."""


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long the entry `name` may keep silent, in seconds: before its first token, and between two.

    None: up to the request's deadline.
    """

    name: str = ""
    first: float | None = None
    between: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A request as one model entry gets it; `prompt.max_tokens` is left to the limits."""

    prompt: Prompt
    profile: Profile
    limits: Limits
    waits: WaitLimits = WaitLimits()


def profile_of(entry: ModelEntry) -> Profile:
    """Return the entry's profile: the one it names, else the one its model suggests.

    Raises:
        InvalidProfile: It names one that there is not.
    """
    return find_profile(entry.model_id or entry.model_path, entry.profile)


def make_task(request: ChatRequest, entry: ModelEntry, *, answer: int, thinking: int) -> Task:
    """Write the request in the terms of that entry.

    Args:
        request: The request.
        entry: The entry that shall answer.
        answer: Tokens of the longest answer that the settings allow.
        thinking: Tokens of the longest thinking that the settings allow.

    Raises:
        InvalidRequest: Stop strings cannot be used, or every message is empty.
    """
    stops = tuple(request.stops)
    if len(stops) > MOST_STOPS or any(not stop for stop in stops):
        raise InvalidRequest(f"`stop`: at most {MOST_STOPS} strings, none of them empty")
    if not any(message.text.strip() for message in request.messages):
        raise InvalidRequest("`messages`: every message is empty, say something")
    profile = profile_of(entry)
    if request.think and profile.trace == "none":
        profile = PROFILES["prompted"]
    limits = decide_limits(request, profile, answer=answer, thinking=thinking)
    messages = remove_thinking(tuple((_role(message.role), message.text) for message in request.messages))
    prompt = Prompt(
        messages=messages if profile.system_prompt else fold_system_text(messages),
        max_tokens=limits.total,
        temperature=_first(request.temperature, entry.temperature, profile.temperature),
        top_p=_first(request.top_p, entry.top_p, profile.top_p),
        seed=request.seed,
        stop=stops,
        effort=effort_word(request, profile, limits),
    )
    return Task(prompt, profile, limits)


def _first(*values: float | None) -> float:
    """Return the first value that is set."""
    return next(value for value in values if value is not None)


def _role(role: str) -> str:
    """Translate OpenAI's new name `developer` back to `system`, which is what chat templates know."""
    return "system" if role == "developer" else role
