"""Measures what speaks for a claim in the sentences of its passages. Pure, by words.

No feature grows with a claim's length alone: each is a share, or whether something is missing. Each is the
greater, the more the passages hold, so that what is fitted with no negative weight is monotone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipelines.sentences import content_words

REACH = 3
"""Sentences before and after one that count as its surroundings."""
AROUND_ANSWER = 1
"""The same for the question's words around a short answer."""
LETTERS = 9
"""A word weighs as many as it has letters, up to these: long words are rarer, and say more."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)?")
_SPEAKER = frozenset(
    "i my me mine myself i'm i've i'd i'll we we're our us".split()  # noqa: SIM905
)
_ADDRESSED = re.compile(
    r"\b(?:do|did|have|are|were|can|could|would|will) (?:n't )?you\b|\byou (?:know|like|think|love|guess)\b"
    r"|\b(?:thank|with|for|to|of|about|from) you\b|\byour (?:favou?rite|friend|opinion)",
    re.IGNORECASE,
)
"""Speaks with somebody; "you can reset it" tells anybody."""
_YOU = frozenset({"you", "your", "you're"})
_SMALL = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
    if word != "one"  # mostly a pronoun
}
_UNITS = {
    long: short
    for short, forms in (
        ("km", "kilometre kilometr kilometer"),
        ("kg", "kilogram kilogramme kilo"),
        ("cm", "centimetre centimetr centimeter"),
        ("mm", "millimetre millimetr millimeter"),
    )
    for long in forms.split()
}
"""By their stems."""
_ALIKE = _SMALL | _UNITS
_ASKS_NUMBER = re.compile(
    r"\b(?:how\s+(?:many|much|long|old|far|often|tall|high|large|big|fast|heavy|deep)|when|what\s+(?:year|date|"
    r"percentage|number|age)|which\s+(?:year|date))\b",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"\d|\b(?:no|none|zero|once|twice|two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty|hundreds?|"
    r"thousands?|[mb]illions?|dozens?|half|third|quarter|century|centuries|years?|decades?|months?|weeks?|days?|"
    r"hours?|spring|summer|autumn|winter|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april"
    r"|may|june|july|august|september|october|november|december|before|after|during|since|until|always|never"
    r"|several|many|few)\b",
    re.IGNORECASE,
)
_DENIES = frozenset(
    {"not", "no", "never", "nor", "neither", "without", "false", "untrue", "nobody", "cannot"}
)
Floats = NDArray[np.float32]
Features = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: content words with their endings cut, numbers among them, and all in a row."""

    content: frozenset[str]
    all: frozenset[str]
    phrases: frozenset[tuple[str, ...]]
    """Three words in a row."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a text's words; "four" is 4, and kilometres are km."""
        row = [
            _SMALL.get(word, word)
            for word in (match.lower().replace("\u2019", "'") for match in _WORD.findall(text))
        ]
        content = frozenset(_ALIKE.get(word, word) for word in content_words(text))
        return cls(content, frozenset(row), frozenset(zip(row, row[1:], row[2:], strict=False)))

    @property
    def figures(self) -> frozenset[str]:
        return frozenset(word for word in self.content if word[0].isdigit())


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sentence or clause against the sentences of its passages; all in [0, 1]."""

    nearby: float
    """Largest share of its content words, by their weight, within `REACH` sentences of one."""
    phrases: float
    """Share of its phrases of three words that the passages hold; without any, as `nearby`."""
    figures: float
    """1 where no figure is missing in the passages, else 0."""
    voice: float
    """0 where it speaks of its speaker or with somebody ("I", "do you know"), and no passage does; else 1."""


@dataclass(frozen=True, slots=True)
class ShortEvidence:
    """A short answer with its question against the sentences of its passages; all in [0, 1]."""

    answer: float
    """1 where one sentence holds all of the answer's words, else 0."""
    question: float
    """Largest share of the question's words around such a sentence."""
    kind: float
    """1 where it stands so, and is a number or a time where the question asks for one, else 0."""


FEATURES = tuple(field.name for field in fields(Evidence))
SHORT_FEATURES = tuple(field.name for field in fields(ShortEvidence))


@lru_cache(maxsize=8192)
def read_words(text: str) -> Words:
    """Read a text's words, once."""
    return Words.read(text)


@lru_cache(maxsize=8)
def _read_passages(
    sentences: tuple[str, ...],
) -> tuple[list[frozenset[str]], frozenset[str], frozenset[tuple[str, ...]]]:
    """Read each sentence's content words, and the words and phrases of all, once for all claims."""
    held = [read_words(sentence) for sentence in sentences]
    return (
        [words.content for words in held],
        frozenset[str]().union(*(words.all for words in held), *(words.content for words in held)),
        frozenset[tuple[str, ...]]().union(*(words.phrases for words in held)),
    )


def gather_evidence(claim: str, sentences: Sequence[str]) -> Evidence:
    """Gather the evidence for a sentence or a clause, without citation marks, in the passages' sentences."""
    words, (by_sentence, all_held, phrases) = read_words(claim), _read_passages(tuple(sentences))
    nearby = _nearby_share(words.content, by_sentence)
    return Evidence(
        nearby=nearby,
        phrases=len(words.phrases & phrases) / len(words.phrases) if words.phrases else nearby,
        figures=float(words.figures <= all_held),
        voice=float(_is_said_by_nobody(claim, words.all, all_held)),
    )


def gather_short_evidence(question: str, answer: str, sentences: Sequence[str]) -> ShortEvidence:
    """Gather the evidence for an answer of a few words: where it stands, and whether the question does."""
    words, held = read_words(answer), [read_words(sentence) for sentence in sentences]
    wanted = words.content or words.all
    asked = read_words(question).content - wanted
    stands, shared = False, 0.0
    for at, sentence in enumerate(held):
        if wanted and wanted <= sentence.content | sentence.all:
            around = frozenset[str]().union(
                *(near.content for near in held[max(0, at - AROUND_ANSWER) : at + AROUND_ANSWER + 1])
            )
            stands, shared = True, max(shared, _weigh(asked & around) / _weigh(asked) if asked else 1.0)
    mismatched = bool(_ASKS_NUMBER.search(question)) and not _COUNTS.search(answer)
    return ShortEvidence(answer=float(stands), question=shared, kind=float(stands and not mismatched))


def is_quoted(claim: str, sentences: Sequence[str]) -> bool:
    """Tell whether a sentence has the claim word for word, and no negation right before it.

    One content word alone is no quotation.
    """
    wanted = _tokens(claim)
    if len(content_words(claim)) < 2:
        return False
    return any(_is_stated(wanted, _tokens(sentence)) for sentence in sentences)


def share_of_words(claim: str, sentences: Sequence[str]) -> Floats:
    """Compute the share of the claim's content words that each sentence holds, shape (n,)."""
    words = content_words(claim)
    shares = [len(words & content_words(sentence)) / max(1, len(words)) for sentence in sentences]
    return np.array(shares, np.float32)


def _is_said_by_nobody(claim: str, words: frozenset[str], held: frozenset[str]) -> bool:
    return _SPEAKER & words <= held and not (_ADDRESSED.search(claim) and not _YOU & held)


def _nearby_share(words: frozenset[str], by_sentence: Sequence[frozenset[str]]) -> float:
    if not words:
        return 0.0
    kept = [words & held for held in by_sentence]
    around = (
        frozenset[str]().union(*kept[max(0, at - REACH) : at + REACH + 1]) for at in range(len(by_sentence))
    )
    return max((_weigh(nearby) for nearby in around), default=0) / _weigh(words)


def _weigh(words: frozenset[str]) -> int:
    return sum(min(len(word), LETTERS) for word in words)


def _is_stated(wanted: Sequence[str], held: Sequence[str]) -> bool:
    """Whether the wanted words stand in the held ones in a row, and are not denied."""
    count = len(wanted)
    return any(
        held[at : at + count] == wanted
        and not any(word in _DENIES or word.endswith("n't") for word in held[max(0, at - 3) : at])
        for at in range(len(held) - count + 1)
    )


@lru_cache(maxsize=8192)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(text))
