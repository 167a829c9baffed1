"""Documents that look like English, as many as wanted, the same for every run: made from a grammar.

Words follow a Zipf-like distribution over a vocabulary of several thousand, so that tokens per word and
repetitions are as in prose; every document has subjects of its own, so that a query can find it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

STARTS = tuple("b br c ch d dr f fl g gr h j k l m n p pl qu r s sh sl st t th tr v w wh".split())  # noqa: SIM905
MIDDLES = tuple("a ai e ea ee i ie o oa oo ou u".split())  # noqa: SIM905
ENDS = tuple("b ck d ft g l ld ll m mp n nd ng nk nt p r rd rk rm rn rt s sk sp ss st t tch th x".split())  # noqa: SIM905
TAILS = ("", "", "", "", "er", "ing", "ed", "ly", "ment", "ness", "ion")
COMMON = tuple(
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an "  # noqa: SIM905
    "they which one were all her there been if more when will would who so no out up into than them can only "
    "other new some time could these two may then do first any like our over such water people long part "
    "place work year world day house small large high number under area between early local system report".split()
)
PATTERNS = (
    "The {n} of {n} {v} the {a} {n} in {p}, and {c} {c} {n} {v} {c} {n}.",
    "In {y}, {p} {v} {c} {n} because the {n} was {a} and {c} {c} {n} could not {v} it.",
    "{p} is {c} {a} {n} that {v} {m} {n} every year, {c} {c} the {n} of {p}.",
    "Although {c} {n} {v} the {n}, most of the {n} {v} between {y} and {y} in the {a} {n}.",
    "According to the {n}, a {a} {n} must {v} within {m} days or the {n} of {p} will {v} {c} {n}.",
    "{c} {n} and {c} {n} {v} together: the {a} {n} near {p} holds {m} {n}.",
)
_SLOT = re.compile(r"\{(\w)\}")


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    text: str
    subject: str


@cache
def _vocabulary() -> tuple[list[str], list[float]]:
    """Words, and running sums of how often each comes."""
    source = random.Random(1)
    words = list(
        dict.fromkeys(
            source.choice(STARTS) + source.choice(MIDDLES) + source.choice(ENDS) + source.choice(TAILS)
            for _ in range(8000)
        )
    )[:4000]
    return words, list(accumulate(1 / (rank + 10) for rank in range(len(words))))


class _Writer:
    """Writes one document, about a subject and with favourite words of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words, self._sums = _vocabulary()
        self._own = self._random.choices(self._words, cum_weights=self._sums, k=40)
        self.subject = f"{self._random.choice(self._words)} {self._random.choice(self._words)}"

    def paragraph(self, characters: int) -> str:
        text = self._sentence()
        while len(text) < characters:
            text += " " + self._sentence()
        return text

    def _sentence(self) -> str:
        sentence = _SLOT.sub(self._word, self._random.choice(PATTERNS))
        return sentence[0].upper() + sentence[1:]

    def _word(self, slot: re.Match[str]) -> str:
        match slot.group(1):
            case "p":
                return self.subject.title()
            case "c":
                return self._random.choice(COMMON)
            case "y":
                return str(self._random.randrange(1780, 2024))
            case "m":
                return str(self._random.randrange(2, 900))
            case "v":
                return self._random.choices(self._words, cum_weights=self._sums)[0]
            case _:
                return self._random.choice(self._own)


def documents(
    count: int, *, paragraphs: int = 8, characters: int = 180, start: int = 0
) -> Iterator[Document]:
    """`count` documents from number `start` on; a paragraph is one passage at the length given."""
    for number in range(start, start + count):
        writer = _Writer(number + 7)
        text = "\n\n".join(writer.paragraph(characters) for _ in range(paragraphs))
        yield Document(f"bench/{number:06d}.txt", text, writer.subject)


def passage_texts(count: int) -> list[str]:
    found: list[str] = []
    for document in documents(count):
        found += document.text.split("\n\n")
        if len(found) >= count:
            break
    return found[:count]
