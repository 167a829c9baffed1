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

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from services.core.wire.sampling import ReasoningEffort
from services.generation.reasoning.tags import (
    ANALYSIS,
    COMMENTARY,
    COMMON,
    CONSTRAINED,
    FINAL,
    GRANITE,
    HARMONY,
    HARMONY_MARKS,
    RESPONSE,
    SOLUTION,
    STRIPPED_HARMONY,
)

Trace = Literal["none", "field", "tags", "prefilled", "prompted"]
Budget = Literal["native", "close", "reask", "none"]


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
    look_ahead: int = 0
    """So many characters of its text are held back, because they may be thinking whose opener never comes."""
    lacks_opener: bool = False
    """It is known to begin within its thinking: a text that is cut before a closer comes is thinking."""
    guessed: bool = False
    """That it does not think is guessed from its name: a block of thinking at the very beginning, or a closer
    on a line of its own, is thinking all the same."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of opener and closer, the main one first."""
        return ((self.opener, self.closer), *self.aliases)


UNBOUNDED = sys.maxsize
"""Characters: up to the end, which the limit of tokens bounds."""

_ALL = (
    Profile("none", "none"),
    Profile(
        "unknown",
        "field",
        aliases=(*COMMON, *HARMONY, STRIPPED_HARMONY),
        drop=(*SOLUTION, *HARMONY_MARKS),
        budget="native",
        unsure=True,
        look_ahead=UNBOUNDED,
    ),
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
    Profile("tags", "tags", aliases=COMMON, temperature=0.6, top_p=0.95, budget="native"),
    Profile("prefilled", "prefilled", temperature=0.6, top_p=0.95, budget="native"),
    Profile("field", "field", aliases=COMMON, temperature=0.6, top_p=0.95, budget="native"),
    Profile("deepseek-r1", "prefilled", system_prompt=False, temperature=0.6, top_p=0.95, budget="native"),
    Profile("qwq", "prefilled", temperature=0.6, top_p=0.95, budget="native"),
    Profile("qwen3", "tags", aliases=COMMON, temperature=0.6, top_p=0.95, budget="native", hybrid="on"),
    Profile("qwen3.5", "prefilled", temperature=0.6, top_p=0.95, budget="native", hybrid="on"),
    Profile(
        "gpt-oss",
        "field",
        opener=ANALYSIS,
        closer=FINAL,
        aliases=(
            (COMMENTARY, FINAL),
            *((opener, closer) for opener in (ANALYSIS, COMMENTARY) for closer in CONSTRAINED),
            STRIPPED_HARMONY,
        ),
        drop=HARMONY_MARKS,
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
        aliases=GRANITE,
        drop=RESPONSE,
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
        aliases=COMMON,
        drop=("<answer>", "\n</answer>"),
        temperature=0.7,
        top_p=0.8,
        budget="native",
    ),
    Profile(
        "seed-oss",
        "tags",
        aliases=COMMON,
        opener="<seed:think>",
        closer="</seed:think>",
        temperature=1.1,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "nemotron",
        "tags",
        aliases=COMMON,
        system_prompt=False,
        temperature=0.6,
        top_p=0.95,
        budget="native",
        system_switch=("detailed thinking on", "detailed thinking off"),
    ),
    Profile("phi-4-reasoning", "tags", aliases=COMMON, temperature=0.8, top_p=0.95, budget="native"),
    Profile(
        "magistral",
        "tags",
        opener="[THINK]",
        closer="[/THINK]",
        aliases=COMMON,
        temperature=0.7,
        top_p=0.95,
        budget="native",
    ),
    Profile(
        "sky-t1",
        "tags",
        aliases=COMMON,
        opener="<|begin_of_thought|>",
        closer="<|end_of_thought|>",
        drop=SOLUTION,
        budget="close",
    ),
)


def _hold_without_opener(profile: Profile) -> Profile:
    """Hold back the text of a model that writes its tags where it begins without one: a template may have."""
    is_known = profile.trace == "tags" and not profile.unsure
    return replace(profile, look_ahead=UNBOUNDED) if is_known else profile


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: _hold_without_opener(profile) for profile in _ALL}
)


def expect_tags_in_text(profile: Profile) -> Profile:
    """Return the profile for a text that is all there is: the opener, if any, is in the text."""
    return replace(profile, trace="tags", look_ahead=0) if profile.trace != "none" else profile


def expect_missing_opener(profile: Profile) -> Profile:
    """Return the profile for a model that was seen to end thinking whose opener never came.

    All is held back until a closer, or the end.
    """
    known = PROFILES["unknown"] if profile.trace == "none" else profile
    if known.trace in {"prefilled", "prompted"}:
        return profile
    return replace(known, unsure=True, look_ahead=UNBOUNDED, lacks_opener=True)


def trust_beginning(profile: Profile) -> Profile:
    """Return the profile for a model that is known to open its thinking by itself, where it thinks at all."""
    return replace(profile, look_ahead=0)
