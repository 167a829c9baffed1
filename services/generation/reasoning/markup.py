"""What the parser looks for in a text: a profile's tags, Markdown code around them, tags in prose. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from services.generation.reasoning.profiles import Profile
from services.generation.reasoning.tags import TagSet, is_word

_TOKEN = re.compile(r"`+|~+|\n|[^`~\n]+")
_FENCE = 3
_BEFORE_WORD = frozenset(" \t([{\"'\u201c\u2018\u00ab\u201e*_|")
_AFTER_WORD = frozenset(" \t.,;:!?)]}\"'\u201d\u2019\u00bb\u201c*_|/-")

Channel = Literal["reasoning", "content"]


@dataclass(slots=True)
class Piece:
    """Text for one of the two channels, never empty. Not frozen: that would double the cost of a token."""

    channel: Channel
    text: str


SUSPECT_LENGTH = 12
"""Characters from which `sounds_like_thinking` can tell."""

_ALOUD = (
    r"(the (user|question)\b|user (asks|asked|wants|is asking)|(i|we) (need|have) to|we are asked"
    r"|let (me|us) (think|see|look|check|start|find|read|break|parse)|thinking\b|looking at"
    r"|first, i (need|will)"
    r"|\u7528\u6237|\u55ef|\u597d\u7684|\u9996\u5148|\u8ba9\u6211|\u6211\u9700\u8981)"  # Chinese
)
_THINKS = re.compile(
    rf"(((ok|okay|alright|all right|hm+|well|so|wait|now)\b[,. ]+)*{_ALOUD})|(ok|okay|hm+|wait)\b[,. ]",
    re.IGNORECASE,
)
_MAY_THINK = re.compile(
    r"(alright|all right|well|so)\b[,. ]|(let me|let's|let us|i (should|must)|we (should|must))\b",
    re.IGNORECASE,
)


def sounds_like_thinking(text: str, *, sure: bool = False) -> bool:
    """Tell whether a text begins as models begin to think, rather than to answer.

    Args:
        text: The text.
        sure: Only beginnings that hardly any answer has.
    """
    return bool(_THINKS.match(text) or (not sure and _MAY_THINK.match(text)))


_TURN_OF_THOUGHT = re.compile(
    r"(?:^|[.!?\u3002\uff1f\uff01:\n]\s*)(?:(?:but|so|and|now)[, ]+)?"
    rf"(?:{_ALOUD}|(?:wait|hmm+|hold on|alternatively|actually)\b|\u7b49\u7b49|\u4e0d\u8fc7)",
    re.IGNORECASE,
)
TURNS = 2
"""So many sentences that begin a new thought make a text one that deliberates."""


def deliberates(text: str) -> bool:
    """Tell whether a text weighs what to answer, however it begins: sentences in it begin as thoughts do."""
    return sum(1 for _ in islice(_TURN_OF_THOUGHT.finditer(text), TURNS)) == TURNS


def is_prose(before: str, after: str) -> bool:
    """Tell whether a tag between these characters is named in a sentence, as in `a <think> tag`.

    Models that open or close their thinking put the tag at the start of a line or before a line break, or
    write on without a space.

    Args:
        before: The character before the tag; empty at the start of the answer.
        after: The character after it; empty at the end of the text.
    """
    return (not before or before in _BEFORE_WORD) and (not after or after in _AFTER_WORD)


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags that count before the answer, in the thinking that an opener began, and in the answer."""

    closers: Mapping[str, tuple[str, ...]]
    """By opener: the tags that may end the thinking that it began."""
    leading: TagSet
    thinking: Mapping[str, TagSet]
    answering: TagSet
    closing: Mapping[str, TagSet]
    """By opener: the closers alone."""
    closers_alone: TagSet
    """All closers: one of them may end thinking that no opener began."""
    any_tag: TagSet
    """All closers and all openers that are no ordinary words."""


@lru_cache(maxsize=64)
def compile_tags(profile: Profile) -> Tags:
    """Compile the tags of a profile; done once for each."""
    openers = dict.fromkeys(opener for opener, _ in profile.pairs)
    closers = {
        opener: tuple(dict.fromkeys(closer for other, closer in profile.pairs if other == opener))
        for opener in openers
    }
    # words that open the thinking are ordinary words inside it
    inner = {
        opener: [
            other
            for other in openers
            if not is_word(other) and (other == opener or not (profile.nests and nests(opener)))
        ]
        for opener in openers
    }
    ends = [closer for _, closer in profile.pairs if not is_word(closer)] or [profile.closer]
    begins = [opener for opener in openers if not is_word(opener)]
    wide = profile.unsure or profile.guessed or profile.name == "field"
    return Tags(
        closers=closers,
        leading=TagSet((*openers, *(closer for _, closer in profile.pairs), *profile.drop)),
        thinking={opener: TagSet((*closers[opener], *inner[opener], *profile.drop)) for opener in openers},
        closing={opener: TagSet(closers[opener]) for opener in openers},
        answering=TagSet(
            (
                profile.opener,
                profile.closer,
                *(begins if wide else ()),
                *(ends if wide else ()),
                *profile.drop,
            )
        ),
        closers_alone=TagSet(ends),
        any_tag=TagSet((*ends, *begins)),
    )


def nests(opener: str) -> bool:
    """Tell whether a block that this begins may hold another of its kind; messages of a channel do not."""
    return not opener.startswith("<|channel|>")


class CodeTracker:
    """Tells whether a growing Markdown text is inside code, by CommonMark's rules as far as a stream can.

    A fence is three or more backticks or tildes at the start of a line, and ends at as many. An inline
    span ends at a run of as many backticks as it began with, and no later than at an empty line.
    """

    def __init__(self) -> None:
        self._blank = True
        self._char = ""
        self._length = 0
        self._starts_line = False
        self._fence = ("", 0)
        self._info = False
        self._inline = 0

    def push(self, text: str) -> None:
        """Go on with this text."""
        if (
            self._fence[1] == 0
            and not self._length
            and not self._inline
            and "`" not in text
            and "~" not in text
        ):
            line = text[text.rfind("\n") + 1 :]
            self._blank = not line.strip(" \t") and (self._blank or len(line) < len(text))
            return
        for token in _TOKEN.findall(text):
            char = token[0]
            if self._length and char != self._char:
                self._settle()
            if char in "`~":
                if not self._length:
                    self._char, self._starts_line = char, self._blank
                self._length += len(token)
                self._blank = False
            elif char == "\n":
                if self._blank:
                    self._inline = 0
                self._blank, self._info = True, False
            elif self._blank:
                self._blank = not token.strip(" \t")

    def inside(self) -> bool:
        """Tell whether what comes next, no backtick or tilde, is inside code."""
        if self._length:
            self._settle()
        return bool(self._fence[1] or self._inline)

    def _settle(self) -> None:
        """Decide what a run of backticks or tildes was, which is over."""
        char, length, self._length = self._char, self._length, 0
        fence, size = self._fence
        if size:
            if self._info and char == fence == "`":
                self._fence, self._info = ("", 0), False  # ```like this``` is a span after all
            elif self._starts_line and char == fence and length >= size:
                self._fence = ("", 0)
        elif not self._inline and self._starts_line and length >= _FENCE:
            self._fence, self._info = (char, length), True
        elif char == "`":
            self._inline = length if not self._inline else self._inline * (length != self._inline)
