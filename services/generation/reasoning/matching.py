"""Which profile a model's id suggests. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from services.core.errors import RaglineError
from services.generation.reasoning.profiles import PROFILES, Profile
from services.generation.reasoning.tags import COMMON


class InvalidProfile(RaglineError):
    """No profile has that name; the message lists those there are."""

    status, code = 500, "invalid_profile"


_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"deepseek-?r1|r1-distill|deepseek-reasoner", "deepseek-r1"),
    (r"deepseek-?v3\.[12]", "deepseek-v3.1"),
    (r"kimi-?k2.*think", "kimi-k2"),
    (r"minimax-?m2", "minimax-m2"),
    (r"minimax-?m3", "minimax-m3"),
    (r"gemma-?4", "gemma-4"),
    (r"gemma|mixtral|mistral-7b-instruct-v0\.[12]|llama-?2.*chat", "alternating"),
    (r"(^|/)(o[134]|gpt-5)($|[-.])", "openai-reasoning"),
    (r"ernie-?4\.5.*think", "ernie"),
    (r"hunyuan-a13b", "hunyuan"),
    (r"seed-?oss", "seed-oss"),
    (r"nemotron-(nano|super|ultra)-\d+b-v1$", "nemotron"),
    (r"glm-?(4\.[5-9]|5)", "tags"),
    (r"glm-?z1|olmo-?3.*think", "prefilled"),
    (r"qwq", "qwq"),
    (r"qwen3.*thinking", "prefilled"),
    (r"qwen-?3.*(instruct|coder|embed)", "none"),
    (r"qwen-?3\.[5-9]", "qwen3.5"),
    (r"qwen-?3", "qwen3"),
    (r"gpt-oss", "gpt-oss"),
    (r"granite-?3", "granite"),
    (r"phi-?4.*reasoning", "phi-4-reasoning"),
    (r"magistral", "magistral"),
    (r"sky-t1", "sky-t1"),
    (r"(reason|think)(er|ing)", "unknown"),
    (
        r"instruct|(^|[-/_.])(it|chat)([-/_.]|$)|llama-?[23]|mistral|gemma|phi-?[34]|qwen-?[12]|gpt-[345]",
        "none",
    ),
)
"""The first that is found in the model id, without regard to case; none: `unknown`."""

_GUESSED = {
    name: replace(profile, guessed=True, aliases=COMMON)
    for name, profile in PROFILES.items()
    if profile.trace == "none"
}


def find_profile(model_id: str, override: str = "") -> Profile:
    """Find the profile of a model.

    Args:
        model_id: The model's id at its server or in the catalogue.
        override: The name of a profile, which comes first; empty for none.

    Raises:
        InvalidProfile: No profile has the name `override`; the message lists those there are.
    """
    if override:
        if override not in PROFILES:
            raise InvalidProfile(f"no reasoning profile {override!r}: choose one of {', '.join(PROFILES)}")
        return PROFILES[override]
    for pattern, name in _PATTERNS:
        if re.search(pattern, model_id, re.IGNORECASE):
            return _GUESSED.get(name, PROFILES[name])
    return PROFILES["unknown"]
