"""What a request says to the model's chat template besides its messages. Pure."""

from __future__ import annotations

from services.generation.backend import Prompt


def options(prompt: Prompt) -> dict[str, object]:
    """Thinking on or off, under Qwen3's name for it and under Granite's and DeepSeek's; and gpt-oss's effort.

    A template takes no notice of a name that it does not know.
    """
    found: dict[str, object] = {}
    if prompt.thinking is not None:
        found |= {"enable_thinking": prompt.thinking, "thinking": prompt.thinking}
    if prompt.effort:
        found["reasoning_effort"] = prompt.effort
    return found
