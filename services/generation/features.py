"""What not every engine can do: refused by the field's name where it cannot, else read from its chunks."""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from services.core.errors import InvalidRequest
from services.core.wire.features import Features, Logprobs, TokenLogprob, ToolCallDelta
from services.generation.backend import Capabilities, Prompt, ToolTurn
from services.generation.entries import ModelEntry

log = structlog.get_logger(__name__)

NEEDS: dict[str, str] = {
    "tools": "tools",
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
    "response_format": "grammar",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "logit_bias": "bias",
    "presence_penalty": "penalties",
    "frequency_penalty": "penalties",
}
"""The capability that honours each of OpenAI's fields."""


def needs_one_request(features: Features) -> bool:
    """Whether something is asked for that is lost where a turn is continued as text."""
    return not {"tools", "tool_choice", "logprobs", "top_logprobs"}.isdisjoint(features.wanted())


def refuse_unsupported(prompt: Prompt, entry: ModelEntry, capabilities: Capabilities) -> None:
    """Refuse a request that the entry's engine cannot honour.

    Raises:
        InvalidRequest: It asks for something that the engine cannot do; the message names each field.
    """
    wanted = prompt.features.wanted()
    fields = [name for name in wanted if not getattr(capabilities, NEEDS[name])]
    if not capabilities.tools and any(isinstance(turn, ToolTurn) for turn in prompt.messages):
        fields.append("messages (calls of tools and their replies)")
    if fields:
        raise InvalidRequest(
            f"model {entry.name} cannot honour {', '.join(f'`{name}`' for name in fields)}: its engine "
            f"{entry.engine} has no such thing; ask another entry (see `capabilities` of /v1/models) or "
            "leave it out"
        )
    if "top_logprobs" in wanted and not wanted.get("logprobs"):
        raise InvalidRequest("`top_logprobs` needs `logprobs`: true")
    if "tool_choice" in wanted and not wanted.get("tools"):
        raise InvalidRequest("`tool_choice` needs `tools`")


def read_tool_calls(calls: object, function: object) -> tuple[ToolCallDelta, ...]:
    """Read calls of tools, or the one `function` call of older servers; what is neither is left out."""
    found = calls if isinstance(calls, list) else []
    if isinstance(function, dict):
        found = [*found, {"id": "call_0" if function.get("name") else None, "function": function}]
    pieces = []
    for position, call in enumerate(found):
        try:
            pieces.append(ToolCallDelta.model_validate({"index": position, **call}))
        except (TypeError, ValidationError):
            log.warning("a call of a tool that is none was left out", call=str(call)[:200])
    return tuple(pieces)


def read_logprobs(value: object) -> tuple[TokenLogprob, ...]:
    """Read the log probabilities of a choice of `/chat/completions`; none where they are of another form."""
    try:
        return tuple(Logprobs.model_validate(value).content) if value else ()
    except ValidationError:
        return ()
