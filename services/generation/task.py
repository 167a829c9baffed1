"""A request as one model entry gets it: made whole with the defaults of the entry and of its profile."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.core.errors import InvalidRequest, ServiceError
from services.core.wire.chat import ChatRequest
from services.generation.backend import Prompt, ToolTurn, make_turn
from services.generation.entries import ModelEntry
from services.generation.features import needs_one_request
from services.generation.reasoning.budget import Limits, decide_limits, effort_word
from services.generation.reasoning.control import break_turn
from services.generation.reasoning.conversation import fold_system_text, merge_turns, remove_thinking
from services.generation.reasoning.matching import find_profile
from services.generation.reasoning.profiles import PROFILES, Profile, trust_beginning

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
    broken_up: bool = False
    """Whether control tokens in its messages were broken up; see `reasoning.control`."""


def profile_of(entry: ModelEntry) -> Profile:
    """Return the entry's profile: the one it names, else the one its model suggests.

    Raises:
        InvalidProfile: It names one that there is not.
    """
    profile = find_profile(entry.model_id or entry.model_path, entry.profile)
    changes: dict[str, object] = {}
    if entry.think_tags is not None:
        if profile.trace not in {"tags", "prefilled", "prompted"}:
            profile = replace(PROFILES["tags"], name=profile.name, aliases=())
        changes["opener"], changes["closer"] = entry.think_tags
    if entry.look_ahead is not None and profile.look_ahead:
        changes["look_ahead"] = entry.look_ahead
    if entry.system_role is not None:
        changes["system_prompt"] = entry.system_role
    if entry.alternating_roles is not None:
        changes["alternates"] = entry.alternating_roles
    renamed = (*profile.renamed, *entry.request.rename.items())
    changes |= {"renamed": renamed, "dropped": (*profile.dropped, *entry.request.drop)}
    return replace(profile, **changes)  # type: ignore[arg-type]  # each by its own type


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
    if request.think and needs_one_request(request.features):
        raise InvalidRequest("`think`: a model that is asked to think has no `tools` and no `logprobs`")
    profile = profile_of(entry)
    if request.think and profile.trace == "none":
        profile = PROFILES["prompted"]
    elif profile.trace == "prompted" and needs_one_request(request.features):
        profile = trust_beginning(PROFILES["unknown"])
    for name in ("temperature", "top_p", "seed"):
        if name in profile.dropped and getattr(request, name) is not None:
            raise InvalidRequest(f"`{name}`: model {entry.name} does not take it")
    limits = decide_limits(request, profile, answer=answer, thinking=thinking)
    written = remove_thinking(tuple(make_turn(_role(message.role), message) for message in request.messages))
    messages = tuple(break_turn(turn, profile) for turn in written)
    broken_up = messages != written or _list_fields(messages) != _list_fields(written)
    if not profile.system_prompt:
        messages = fold_system_text(messages)
    prompt = Prompt(
        messages=merge_turns(messages) if profile.alternates else messages,
        max_tokens=limits.total,
        temperature=_first(request.temperature, entry.temperature, profile.temperature),
        top_p=_first(request.top_p, entry.top_p, profile.top_p),
        seed=request.seed,
        stop=stops,
        effort=effort_word(request, profile, limits),
        features=request.features,
    )
    return Task(prompt, profile, limits, broken_up=broken_up)


def _list_fields(messages: tuple[tuple[str, str], ...]) -> list[dict[str, object]]:
    """List what the messages say of tools: messages are equal where their texts are."""
    return [turn.fields for turn in messages if isinstance(turn, ToolTurn)]


def _first(*values: float | None) -> float:
    """Return the first value that is set."""
    return next(value for value in values if value is not None)


def _role(role: str) -> str:
    """Translate OpenAI's new name `developer` back to `system`, which is what chat templates know."""
    return "system" if role == "developer" else role
