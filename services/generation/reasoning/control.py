"""A profile's control tokens, broken up in texts that people wrote; see `services.core.control`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from services.core.control import break_calls, break_tokens, compile_tokens
from services.generation.backend import ToolTurn
from services.generation.reasoning.profiles import PROFILES, Profile


@lru_cache(maxsize=64)
def compile_control(profile: Profile) -> re.Pattern[str]:
    """Compile the control tokens of all families of models, and the tags of every profile and of this one."""
    return compile_tokens({tag for other in (*PROFILES.values(), profile) for tag in _list_tags(other)})


def break_control_tokens(text: str, profile: Profile) -> str:
    """Return the text with every control token in it broken up."""
    return break_tokens(text, compile_control(profile))


def break_turn(turn: tuple[str, str], profile: Profile) -> tuple[str, str]:
    """Return a message with every control token broken up: in its text, and in the arguments of its calls."""
    text = break_control_tokens(turn[1], profile)
    if not isinstance(turn, ToolTurn):
        return turn[0], text
    return ToolTurn.make(turn[0], text, break_calls(turn.fields, compile_control(profile)))


def _list_tags(profile: Profile) -> Iterable[str]:
    """List the profile's tags and markers that are no ordinary words."""
    pairs = (tag for pair in profile.pairs for tag in pair)
    return (tag for tag in (*pairs, *profile.drop) if not tag.strip()[0].isalpha())
