"""A profile's tags as patterns, one for each state of the parser. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.generation.reasoning.profiles import Profile


class TagSet:
    """Some tags, none of which is part of another where they are searched for."""

    def __init__(self, tags: Iterable[str]) -> None:
        self.tags = tuple(dict.fromkeys(tags))
        self._pattern = re.compile("|".join(re.escape(tag) for tag in self.tags))
        self._longest = max(map(len, self.tags))
        self.firsts = tuple(dict.fromkeys(tag[0] for tag in self.tags))

    def search(self, text: str, at: int) -> re.Match[str] | None:
        """The next tag at or after that position."""
        return self._pattern.search(text, at)

    def match(self, text: str, at: int) -> re.Match[str] | None:
        """The tag at that position."""
        return self._pattern.match(text, at)

    def overlap(self, text: str, at: int) -> int:
        """The length of the longest end of `text[at:]` that is the beginning of a tag, but not all of it."""
        tail = text[max(at, len(text) - self._longest + 1) :]
        for start, char in enumerate(tail):
            if char in self.firsts and self.begins(tail[start:]):
                return len(tail) - start
        return 0

    def begins(self, text: str) -> bool:
        """Whether some tag begins with `text`."""
        return any(tag.startswith(text) for tag in self.tags)


@dataclass(frozen=True, slots=True)
class Tags:
    """What counts where: before the answer, in the thinking that an opener began, in the answer."""

    closers: Mapping[str, tuple[str, ...]]
    """What may end the thinking that an opener began."""
    leading: TagSet
    thinking: Mapping[str, TagSet]
    answering: TagSet


@lru_cache(maxsize=64)
def tags_of(profile: Profile) -> Tags:
    """Compiled once for each profile."""
    openers = dict.fromkeys(opener for opener, _ in profile.pairs)
    closers = {
        opener: tuple(dict.fromkeys(closer for other, closer in profile.pairs if other == opener))
        for opener in openers
    }
    # words that open the thinking are ordinary words inside it
    inner = {
        opener: [
            other for other in openers if not other[0].isalpha() and (other == opener or not profile.nests)
        ]
        for opener in openers
    }
    return Tags(
        closers=closers,
        leading=TagSet((*openers, *(closer for _, closer in profile.pairs), *profile.drop)),
        thinking={opener: TagSet((*closers[opener], *inner[opener], *profile.drop)) for opener in openers},
        answering=TagSet((profile.opener, profile.closer, *profile.drop)),
    )
