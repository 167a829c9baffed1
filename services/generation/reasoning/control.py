"""Control tokens in texts that people wrote: they reach the engine as text. Pure.

`<|im_start|>` in a question, a passage or an earlier answer is one token to a model, which then takes what
follows for another turn; `</think>` ends its thinking, and chat templates cut an assistant's turn there. So a
WORD JOINER, which has no width, is put behind the first character of each: a tokenizer finds no control token
in that, and a model reads it as the same word. What the model repeats of it is taken out of its output again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from services.core.wire.features import ToolCallDelta
from services.generation.reasoning.profiles import PROFILES, Profile

JOINER = "\N{WORD JOINER}"
_ESCAPED = "\\u2060"

_FAMILIES = (
    r"<\|[^<>|\s]{1,64}\|>",  # ChatML, Llama 3, Phi, Granite, Command R, harmony, GPT's own
    r"<\|[\w\"]{1,32}>|<[\w\"]{1,32}\|>",  # Gemma 4
    r"<\uff5c[^<>\s]{1,64}\uff5c>",  # DeepSeek, Hunyuan
    r"</?s>|<<?/?SYS>>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|PREFIX|SUFFIX)\]",
    r"<(?:bos|eos|pad|unk|mask|sop|eop|cls|sep)>|\[g?MASK\]",
    r"<(?:start|end)_of_(?:turn|image)>|<seed:\w{1,32}>|</?(?:mm:)?tool_(?:call|calls|response)>",
    r"<fim_(?:prefix|middle|suffix|pad)>|\]~!?b\[?\]?|\[e~\[",
)
"""By the models whose tokenizers and templates have them."""


@lru_cache(maxsize=64)
def compile_control(profile: Profile) -> re.Pattern[str]:
    """Compile the control tokens of all families of models, and the tags of every profile and of this one."""
    tags = {tag for other in (*PROFILES.values(), profile) for tag in _list_tags(other)}
    known = [re.escape(tag) for tag in sorted(tags, key=len, reverse=True)]
    return re.compile("|".join([*known, *_FAMILIES]), re.IGNORECASE)


def break_control_tokens(text: str, profile: Profile) -> str:
    """Return the text with every control token in it broken up."""
    return compile_control(profile).sub(lambda match: f"{match[0][0]}{JOINER}{match[0][1:]}", text)


def restore_text(text: str) -> str:
    """Take out of a model's output what `break_control_tokens` has put into its prompt."""
    return text.replace(JOINER, "")


def restore_call(call: ToolCallDelta) -> ToolCallDelta:
    """Take it out of a piece of a tool call too; in its JSON it may be written as an escape."""
    arguments = call.function.arguments
    if not arguments or not (JOINER in arguments or _ESCAPED in arguments):
        return call
    plain = restore_text(arguments).replace(_ESCAPED, "")
    return call.model_copy(update={"function": call.function.model_copy(update={"arguments": plain})})


def _list_tags(profile: Profile) -> Iterable[str]:
    """List the profile's tags and markers that are no ordinary words."""
    pairs = (tag for pair in profile.pairs for tag in pair)
    return (tag for tag in (*pairs, *profile.drop) if not tag.strip()[0].isalpha())
