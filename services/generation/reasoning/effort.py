"""How hard a model shall think, in its own words. Pure.

A profile's `efforts` are the words of its scale. A request's `reasoning_effort` is passed on where it is
one of them; else the word whose tokens come nearest to the budget from below, or the least. An engine that
has no field and no template option for it gets the word in the system text, and so does every engine where
the model is switched by that text alone.
"""

from __future__ import annotations

from dataclasses import replace

from services.core.wire.chat import ChatRequest
from services.generation.backend import Capabilities, Prompt
from services.generation.reasoning.budget import EFFORT, Limits
from services.generation.reasoning.profiles import Profile


def word(request: ChatRequest, profile: Profile, limits: Limits) -> str:
    """The word of the model's scale; empty where it has none, or where nobody asks for less or more than
    its template does by itself."""
    if not profile.efforts or not (limits.asked or not limits.thinking):
        return ""
    asked = request.reasoning_effort
    if request.max_reasoning_tokens is None and asked in profile.efforts:
        return asked or ""
    return next((one for one in reversed(profile.efforts) if EFFORT[one] <= limits.thinking), least(profile))


def least(profile: Profile) -> str:
    """The word for as little as there is; empty where the model has no scale."""
    return profile.efforts[0] if profile.efforts else ""


def written(prompt: Prompt, profile: Profile, capabilities: Capabilities, *, thinks: bool) -> Prompt:
    """The prompt with what has to be said in its system text."""
    lines = [profile.system_switch[0 if thinks else 1]] if profile.system_switch else []
    if prompt.effort and not capabilities.effort:
        lines.append(profile.effort_line.format(effort=prompt.effort))
        prompt = replace(prompt, effort="")
    if not lines:
        return prompt
    system = [text for role, text in prompt.messages if role == "system"]
    rest = tuple(message for message in prompt.messages if message[0] != "system")
    return replace(prompt, messages=(("system", "\n\n".join([*lines, *system])), *rest))
