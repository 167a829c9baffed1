"""Makes questions that the collection cannot answer: a name or number is replaced by one it does not hold.

That is the one kind that can be verified without a judge: the replacement stands in no passage. It is also
an easy kind, and where the name did not matter to the question it may stay answerable in spirit. Pure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INVENTED = (
    "Velmora", "Kardell", "Ostraval", "Threnby", "Quillon", "Zephane", "Dorsevale", "Brennick", "Tolvane",
    "Peregon", "Farrowby", "Wexmoor", "Nordhaven", "Ellsware", "Grimhold", "Pantrell",
)  # fmt: skip
"""Names that replace names; those that the collection holds are not used."""
PARTS = ("QUOTA", "LEDGER", "BEACON", "HARVEST", "LANTERN", "PARCEL", "MERIDIAN", "ORCHARD")
"""Words that replace the last part of an identifier, in its own case."""
TRIES = 200

_WORD = re.compile(r"\w+(?:[-.]\w+)*")
_IDENTIFIER = re.compile(r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b")
_NAME = re.compile(r"(?<!^)(?<![.?!]\s)\b[A-Z][\w-]*(?:\s+[A-Z][\w-]*)*")
_NUMBER = re.compile(r"(?<![\w.,])\d{2,}(?![\w]|[.,]\d)")


@dataclass(frozen=True, slots=True)
class Substituted:
    """A question with `old` replaced by `new`, which no passage holds."""

    question: str
    old: str
    new: str


class Vocabulary:
    """Holds the words of a collection, lower-cased; parts of compounds count as words of their own."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words: set[str] = set()
        for text in texts:
            for word in _WORD.findall(text.lower()):
                self._words.add(word)
                self._words.update(re.split(r"[-._]", word))

    def __contains__(self, name: str) -> bool:
        """Whether any part of the name is there: for a name that shares nothing with the collection."""
        return any(part in self._words for part in re.split(r"[-\s]", name.lower()))

    def holds(self, word: str) -> bool:
        """Whether the word is there as a whole."""
        return word.lower() in self._words


def substitute(question: str, vocabulary: Vocabulary, seed: int) -> Substituted | None:
    """Replace a question's identifier, else its name, else its number; None where it has none.

    The first word is no name: every question begins with a capital. A name counts as one only where the
    collection knows it, so that what is replaced is something that the documents speak of.
    """
    generator = random.Random(seed)
    for pattern, invent in (
        (_IDENTIFIER, _invent_identifier),
        (_NAME, _invent_name),
        (_NUMBER, _invent_number),
    ):
        matches = [match for match in pattern.finditer(question) if _is_known(match.group(), vocabulary)]
        if matches:
            match = generator.choice(matches)
            new = invent(match.group(), vocabulary, generator)
            if new is not None:
                replaced = question[: match.start()] + new + question[match.end() :]
                return Substituted(replaced, match.group(), new)
    return None


def _is_known(text: str, vocabulary: Vocabulary) -> bool:
    return all(vocabulary.holds(word) for word in _WORD.findall(text))


def _invent_name(old: str, vocabulary: Vocabulary, generator: random.Random) -> str | None:
    """Invent a name of as many words as the old one has, at most two."""
    free: Sequence[str] = [name for name in INVENTED if name not in vocabulary]
    count = min(2, len(old.split()))
    return " ".join(generator.sample(free, count)) if len(free) >= count else None


def _invent_identifier(old: str, vocabulary: Vocabulary, generator: random.Random) -> str | None:
    head, _, tail = old.rpartition("_")
    parts = [part if tail.isupper() else part.lower() for part in PARTS]
    free = [name for part in parts if not vocabulary.holds(name := f"{head}_{part}")]
    return generator.choice(free) if free else None


def _invent_number(old: str, vocabulary: Vocabulary, generator: random.Random) -> str | None:
    """Invent a number of as many digits."""
    for _ in range(TRIES):
        new = str(generator.randrange(10 ** (len(old) - 1), 10 ** len(old)))
        if not vocabulary.holds(new):
            return new
    return None
