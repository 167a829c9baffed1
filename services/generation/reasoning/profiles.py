"""Reasoning profiles, as data: where a model's thinking is, how to sample it, how to budget it.

Sources: the model cards of DeepSeek-R1 (T 0.5-0.7, 0.6 advised, top-p 0.95, no system prompt, no greedy
decoding; the chat template pre-fills the opener), QwQ-32B, Qwen3 (hybrid; `enable_thinking`; since 3.5 the
template pre-fills the opener), gpt-oss (the harmony response format; "Reasoning: low" in the system
message), OpenAI's reasoning models (`max_completion_tokens`, no sampling), Gemma (no system role before
Gemma 4; turns in alternation; Gemma 4's channels), MiniMax-M3 (`<mm:think>`), Granite 3.2 and 3.3,
Phi-4-reasoning, Magistral Small 2506, Sky-T1 (`begin_of_thought`), DeepSeek-V3.1 (hybrid; `thinking`),
Llama-Nemotron v1 ("detailed thinking on"); and vLLM's reasoning parsers for the tags of these and of
Kimi-K2-Thinking, MiniMax-M2, ERNIE-4.5-Thinking, Hunyuan-A13B, Seed-OSS, GLM-4.5 and OLMo 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from services.core.errors import RaglineError
from services.core.wire.sampling import ReasoningEffort

Trace = Literal["none", "field", "tags", "prefilled", "prompted"]
Budget = Literal["native", "close", "reask", "none"]


class InvalidProfile(RaglineError):
    """No profile has that name; the message lists those there are."""

    status, code = 500, "invalid_profile"


@dataclass(frozen=True, slots=True)
class Profile:
    """A family of models, and how it thinks.

    `trace`: `none` (it does not; its text is taken as it is), `field` (the engine's own field; tags at
    the start of the text are understood too), `tags` (it writes the tags), `prefilled` (its chat template
    writes the opener), `prompted` (an instruct model that is asked to think).
    `budget` is the best method that the model allows: `native`, else `close`, else `reask`.
    """

    name: str
    trace: Trace
    opener: str = "<think>"
    closer: str = "</think>"
    system_prompt: bool = True
    """False: the system text goes into the first user turn."""
    alternates: bool = False
    """Its chat template wants user and assistant in turn: neighbours of one role become one turn."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Fields of the request that its servers call by another name."""
    dropped: tuple[str, ...] = ()
    """Fields of the request that its servers refuse."""
    temperature: float = 0.0
    """Where neither request nor entry sets one; 0 is greedy: for answers from given passages."""
    top_p: float = 1.0
    budget: Budget = "none"
    aliases: tuple[tuple[str, str], ...] = ()
    """Further pairs of opener and closer; understood only where the answer has not begun."""
    drop: tuple[str, ...] = ()
    """Markers that belong to neither channel."""
    nests: bool = True
    """An opener inside the thinking is one more level; False: one more marker."""
    efforts: tuple[ReasoningEffort, ...] = ()
    """The words of the model's own scale of effort, the least first."""
    effort_line: str = ""
    """The system text that says it where only the template is there, with `{effort}` in it."""
    hybrid: Literal["on", "off"] | None = None
    """Its chat template takes a switch, and does this by itself. Where thinking is off nothing is pre-filled;
    where it is off by itself, it is on where a request asks for some."""
    system_switch: tuple[str, str] | None = None
    """The system texts that turn thinking on and off, for models that have nothing else for it."""
    unsure: bool = False
    """The model is unknown: it may think or not, so nothing is set aside for thinking."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of opener and closer, the main one first."""
        return ((self.opener, self.closer), *self.aliases)


_KIMI = ("\u25c1think\u25b7", "\u25c1/think\u25b7")
_COMMON = (
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    _KIMI,
)
_RESPONSE = ("<response>", "</response>")
_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
_GRANITE = tuple(
    (f"{start} my thought process:", f"{end} my response:")
    for start in ("Here is", "Here's")
    for end in ("Here is", "Here's")
)
_ANALYSIS, _COMMENTARY = "<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>"
_FINAL = "<|channel|>final<|message|>"
_CONSTRAINED = tuple(
    f"<|channel|>final{space}<|constrain|>{kind}<|message|>"
    for space in (" ", "")
    for kind in ("json", "JSON")
)
"""The header of an answer that shall be JSON."""

_ALL = (
    Profile("none", "none"),
    Profile("unknown", "field", aliases=_COMMON, drop=_SOLUTION, budget="native", unsure=True),
    Profile("prompted", "prompted", budget="close"),
    Profile("alternating", "none", system_prompt=False, alternates=True),
    Profile(
        "openai-reasoning",
        "field",
        temperature=1.0,
        budget="reask",
        efforts=("low", "medium", "high"),
        effort_line="Reasoning: {effort}",
        renamed=(("max_tokens", "max_completion_tokens"),),
        dropped=("temperature", "top_p", "stop"),
    ),
    Profile(
        "gemma-4",
        "tags",
        opener="<|channel>thought",
        closer="<channel|>",
        temperature=1.0,
        top_p=0.95,
        budget="reask",
        hybrid="off",
        unsure=True,
    ),
    Profile("tags", "tags", aliases=_COMMON, temperature=0.6, top_p=0.95, budget="native"),
    Profile("prefilled", "prefilled", temperature=0.6, top_p=0.95, budget="native"),
    Profile("field", "field", temperature=0.6, top_p=0.95, budget="native"),
    Profile("deepseek-r1", "prefilled", system_prompt=False, temperature=0.6, top_p=0.95, budget="native"),
    Profile("qwq", "prefilled", temperature=0.6, top_p=0.95, budget="native"),
    Profile("qwen3", "tags", temperature=0.6, top_p=0.95, budget="native", hybrid="on"),
    Profile("qwen3.5", "prefilled", temperature=0.6, top_p=0.95, budget="native", hybrid="on"),
    Profile(
        "gpt-oss",
        "field",
        opener=_ANALYSIS,
        closer=_FINAL,
        # the last one is what is left where a server strips special tokens from the text
        aliases=(
            (_COMMENTARY, _FINAL),
            *((opener, closer) for opener in (_ANALYSIS, _COMMENTARY) for closer in _CONSTRAINED),
            ("analysis", "assistantfinal"),
        ),
        drop=("<|start|>assistant", "<|end|>", "<|return|>"),
        nests=False,
        temperature=1.0,
        top_p=1.0,
        budget="reask",
        efforts=("low", "medium", "high"),
        effort_line="Reasoning: {effort}",
    ),
    Profile(
        "granite",
        "tags",
        aliases=_GRANITE,
        drop=_RESPONSE,
        budget="reask",
        hybrid="off",
        unsure=True,
    ),
    Profile(
        "deepseek-v3.1", "prefilled", temperature=0.6, top_p=0.95, budget="reask", hybrid="off", unsure=True
    ),
    Profile("kimi-k2", "prefilled", temperature=1.0, budget="native"),
    Profile("minimax-m2", "prefilled", temperature=1.0, top_p=0.95, budget="native"),
    Profile(
        "minimax-m3",
        "prefilled",
        opener="<mm:think>",
        closer="</mm:think>",
        aliases=(("<think>", "</think>"),),
        temperature=1.0,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "ernie",
        "prefilled",
        drop=("<response>", "\n</response>"),
        temperature=0.6,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "hunyuan",
        "tags",
        drop=("<answer>", "\n</answer>"),
        temperature=0.7,
        top_p=0.8,
        budget="native",
    ),
    Profile(
        "seed-oss",
        "tags",
        opener="<seed:think>",
        closer="</seed:think>",
        temperature=1.1,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "nemotron",
        "tags",
        system_prompt=False,
        temperature=0.6,
        top_p=0.95,
        budget="native",
        system_switch=("detailed thinking on", "detailed thinking off"),
    ),
    Profile("phi-4-reasoning", "tags", temperature=0.8, top_p=0.95, budget="native"),
    Profile(
        "magistral",
        "tags",
        opener="[THINK]",
        closer="[/THINK]",
        aliases=(("<think>", "</think>"),),
        temperature=0.7,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "sky-t1",
        "tags",
        opener="<|begin_of_thought|>",
        closer="<|end_of_thought|>",
        drop=_SOLUTION,
        budget="close",
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _ALL})

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
            return PROFILES[name]
    return PROFILES["unknown"]


def expect_tags_in_text(profile: Profile) -> Profile:
    """Return the profile for a text that is all there is: the opener, if any, is in the text."""
    return replace(profile, trace="tags") if profile.trace != "none" else profile
