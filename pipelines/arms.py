"""Arms, the columns of a comparison: a model entry, a prompt strategy, sampling and a thinking budget."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipelines.prompting import PROMPTS, PromptName
from services.core.errors import InvalidRequest
from services.core.wire.sampling import Sampling

_SHORT = re.compile(r"(?P<model>[^+@=]*)(?:\+(?P<prompt>[^@]*))?(?:@(?P<budget>.*))?")


@dataclass(frozen=True, slots=True)
class Arm:
    """`name` tells it apart; `model` is a model entry, empty for the default one."""

    name: str
    model: str = ""
    prompt: PromptName = "plain"
    sampling: Sampling = field(default_factory=Sampling)


def parse_arm(text: str, prompt: PromptName = "plain") -> Arm:
    """An arm from `MODEL[+PROMPT][@TOKENS]`, such as `small`, `small+cite`, `large@512`; `NAME=` may precede.

    `TOKENS` is the thinking budget, 0 for none. Raises `InvalidRequest` that says what is wrong with it.
    """
    name, equals, rest = text.strip().rpartition("=")
    match = _SHORT.fullmatch(rest)
    if match is None or (equals and not name) or not rest:
        raise InvalidRequest(f"arm {text!r}: write MODEL, MODEL+PROMPT, MODEL@TOKENS or NAME=...")
    budget = match["budget"]
    if budget is not None and not budget.isdecimal():
        raise InvalidRequest(f"arm {text!r}: after @ comes the thinking budget in tokens, 0 for none")
    strategy = prompt_named(match["prompt"]) if match["prompt"] is not None else prompt
    # not validated here: a budget out of bounds is the arm's own failure, and the other arms go on
    sampling = Sampling.model_construct(max_reasoning_tokens=None if budget is None else int(budget))
    return Arm(name or rest, match["model"], strategy, sampling)


def prompt_named(name: str) -> PromptName:
    """The strategy of that name. Raises `InvalidRequest` that lists those there are."""
    for known in PROMPTS:
        if known == name:
            return known
    raise InvalidRequest(f"no prompt {name!r}: there are {', '.join(PROMPTS)}")
