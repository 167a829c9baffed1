"""The tags that models write around their thinking, and sets of tags to look for in a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_NAMES = ("think", "thinking", "reasoning", "thought", "thoughts")

COMMON = (
    *((f"<{name}>", f"</{name}>") for name in _NAMES),
    *((f"&lt;{name}&gt;", f"&lt;/{name}&gt;") for name in _NAMES),  # where a server escapes HTML
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi
    ("<|channel>thought", "<channel|>"),  # Gemma 4
)
"""Pairs of opener and closer that models of several makers write."""

RESPONSE = ("<response>", "</response>")
SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
GRANITE = tuple(
    (f"{start} my thought process:", f"{end} my response:")
    for start in ("Here is", "Here's")
    for end in ("Here is", "Here's")
)
ANALYSIS, COMMENTARY = "<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>"
FINAL = "<|channel|>final<|message|>"
CONSTRAINED = tuple(
    f"<|channel|>final{space}<|constrain|>{kind}<|message|>"
    for space in (" ", "")
    for kind in ("json", "JSON")
)
"""The header of an answer that shall be JSON."""
HARMONY = tuple((opener, closer) for opener in (ANALYSIS, COMMENTARY) for closer in (FINAL, *CONSTRAINED))
HARMONY_MARKS = ("<|start|>assistant", "<|end|>", "<|return|>")


def is_word(tag: str) -> bool:
    """Tell whether a tag is made of ordinary words, as Granite's are: case counts in it."""
    return tag.strip()[:1].isalpha()


class Hit(NamedTuple):
    """A tag that was found: as it is known, and where it is in the text."""

    tag: str
    start: int
    end: int


class TagSet:
    """A set of tags, none of which is part of another where they are searched for.

    Models write `<THINK>` too: case counts only in tags that are ordinary words.
    """

    def __init__(self, tags: Iterable[str]) -> None:
        self.tags = tuple(dict.fromkeys(tags))
        self._known = {_fold(tag): tag for tag in reversed(self.tags)}
        # the first character, no letter, outside of the group: only then is a search for it fast
        self._pattern = re.compile(
            "|".join(
                re.escape(tag) if is_word(tag) else f"{re.escape(tag[0])}(?ai:{re.escape(tag[1:])})"
                for tag in self.tags
            )
        )
        self._longest = max(map(len, self.tags))
        self.firsts = tuple(dict.fromkeys(tag[0] for tag in self.tags))

    def search(self, text: str, at: int) -> Hit | None:
        """Find the next tag at or after that position."""
        return self._name(self._pattern.search(text, at))

    def match(self, text: str, at: int) -> Hit | None:
        """Match the tag at that position."""
        return self._name(self._pattern.match(text, at))

    def overlap(self, text: str, at: int) -> int:
        """Measure the longest end of `text[at:]` that is the beginning of a tag, but not all of it."""
        tail = text[max(at, len(text) - self._longest + 1) :]
        for start, char in enumerate(tail):
            if char in self.firsts and self.begins(tail[start:]):
                return len(tail) - start
        return 0

    def begins(self, text: str) -> bool:
        """Whether some tag begins with `text`."""
        folded = text.lower()
        return any(
            tag.startswith(text) if is_word(tag) else tag.lower().startswith(folded) for tag in self.tags
        )

    def _name(self, match: re.Match[str] | None) -> Hit | None:
        return Hit(self._known[_fold(match.group())], *match.span()) if match else None


def _fold(tag: str) -> str:
    return tag if is_word(tag) else tag.lower()
