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
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|begin|>assistant<|think|>", "<|begin|>assistant<|content|>"),  # Solar
    ("\\u003cthink\\u003e", "\\u003c/think\\u003e"),  # where a server escapes JSON twice
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
STRIPPED_HARMONY = ("analysis", "assistantfinal")
"""What is left of it where a server strips special tokens from the text."""
HARMONY_MARKS = ("<|start|>assistant", "<|end|>", "<|return|>")


def is_word(tag: str) -> bool:
    """Tell whether a tag is made of ordinary words, as Granite's are: case counts in it."""
    return tag.strip()[:1].isalpha()


_WORD = r"(?:think|thought|reason|reflect|ponder|monolog|scratch|deliberat)"
_WHOLE = r"(?:analysis|cot)"
_NAME = rf"(?:{_WHOLE}(?![\w.:-])|[\w.:-]{{0,24}}{_WORD}[\w.:-]{{0,16}})"
_OPENS, _CLOSES = "<\uff1c\u25c1", ">\uff1e\u25b7"
_FOREIGN = re.compile(
    rf"(?P<open>[{_OPENS}]) ?(?P<bar>[|\uff5c]?) ?"
    rf"(?P<name>{_NAME}|\w+(?= [^<>\n]{{0,60}}{_WORD}))(?P<rest> [^<>\n]{{0,80}}|)"
    rf" ?(?P=bar) ?(?P<close>[{_CLOSES}])"
    rf"|\[(?P<square>(?-i:[A-Z_]{{0,24}}{_WORD.upper()}[A-Z_]{{0,16}}))\](?!\()"
    rf"|(?P<fence>`{{3,}}) ?{_NAME} *\n",
    re.IGNORECASE,
)
_BEGUN = re.compile(
    rf"[{_OPENS}](?: ?[|\uff5c]? ?(?:[\w.:-]{{1,48}}(?: [^<>\n]{{0,80}})?[|\uff5c]?)?)?\Z"
    r"|\[(?-i:[A-Z_]{0,40})\]?\Z|`{1,3}\Z|`{3,} ?[\w.:-]{1,48} *\Z",
    re.IGNORECASE,
)
_CLOSER = re.compile(
    rf"[{_OPENS}] ?[|\uff5c]? ?/ ?{_NAME} ?[|\uff5c]? ?[{_CLOSES}]"
    rf"|<\|end_(?:of_)?[\w-]{{0,24}}{_WORD}[\w-]{{0,16}}\|>|\[/(?-i:[A-Z_]{{0,24}}{_WORD.upper()}[A-Z_]{{0,16}})\]",
    re.IGNORECASE,
)
_CLOSER_BEGUN = re.compile(rf"[{_OPENS}\[][^\n>\]]{{0,60}}\Z")
_STARTS = re.compile(r"start|begin", re.IGNORECASE)


def match_foreign(text: str, at: int) -> tuple[str, tuple[str, ...]] | None:
    """Match a tag that opens thinking by its look and its name, of a model that is in no list.

    Returns:
        The tag as it is in the text, and the tags that close it; None where there is none at that position.
    """
    match = _FOREIGN.match(text, at)
    if match is None:
        return None
    opener = match.group()
    if match["fence"]:
        return opener, (f"\n{match['fence']}",)
    if match["square"]:
        return opener, (f"[/{match['square']}]",)
    name, start, end = match["name"], match["open"] + match["bar"], match["bar"] + match["close"]
    if _STARTS.match(name):
        name = _STARTS.sub("END" if name.isupper() else "end", name, count=1)
        return opener, (f"{start}{name}{end}",)
    spaced = [(left, right) for left in ("", " ") for right in ("", " ")]
    return opener, tuple(f"{start}/{left}{name}{right}{end}" for left, right in spaced)


def may_be_foreign(text: str, at: int) -> bool:
    """Tell whether what begins at that position, and ends with the text, may become such a tag."""
    return _BEGUN.match(text, at) is not None


def opens_foreign(text: str, closer: str) -> bool:
    """Tell whether a text has the opener of this closer: together they are a part of it."""
    name = re.sub(r"^end_(of_)?|[^\w.:-]", "", closer.lower())
    return (
        re.search(rf"[{_OPENS}\[] ?[|\uff5c]? ?(\w+_)?(of_)?{re.escape(name)}", text, re.IGNORECASE)
        is not None
    )


class ForeignClosers:
    """Closers by their look and their name, of models that are in no list."""

    @staticmethod
    def search(text: str, at: int) -> Hit | None:
        """Find the next one at or after that position."""
        match = _CLOSER.search(text, at)
        return Hit(match.group(), *match.span()) if match else None

    @staticmethod
    def overlap(text: str, at: int) -> int:
        """Measure the end of the text that may become one."""
        match = _CLOSER_BEGUN.search(text, max(at, len(text) - _LONGEST_CLOSER))
        return len(match.group()) if match else 0


_LONGEST_CLOSER = 64


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
